/**
 * Account data: what a user's clients keep here, for all rooms or for one. Deleted data stays as an
 * empty object, so that other clients hear of it.
 *
 * @module
 */

import type { RoomId, UserId } from '#protocol/identifiers/ids.ts'
import { type Reader, sql, texts, type Writer } from './database.ts'

export interface AccountDataRow {
  /** Empty for what belongs to no room. */
  readonly room_id: RoomId | ''
  readonly type: string
  readonly content_json: string
  readonly stream: number
}

export function setAccountData(tx: Writer, userId: UserId, data: AccountDataRow): void {
  tx.run(sql`
    INSERT INTO account_data (user_id, room_id, type, content_json, stream)
    VALUES (${userId}, ${data.room_id}, ${data.type}, ${data.content_json}, ${data.stream})
    ON CONFLICT (user_id, room_id, type)
    DO UPDATE SET content_json = excluded.content_json, stream = excluded.stream
  `)
}

export async function accountDataOf(
  db: Reader,
  userId: UserId,
  roomId: RoomId | '',
  type: string,
): Promise<AccountDataRow | undefined> {
  return await db.first<AccountDataRow>(sql`
    SELECT room_id, type, content_json, stream FROM account_data
    WHERE user_id = ${userId} AND room_id = ${roomId} AND type = ${type}
  `)
}

/** All that changed after `from`, up to and including `to`, in the order of the stream. */
export async function accountDataChanges(
  db: Reader,
  userId: UserId,
  range: { readonly from: number; readonly to: number },
): Promise<AccountDataRow[]> {
  return await db.all<AccountDataRow>(sql`
    SELECT room_id, type, content_json, stream FROM account_data
    WHERE user_id = ${userId} AND stream > ${range.from} AND stream <= ${range.to}
    ORDER BY stream, room_id, type
  `)
}

/** How much a user keeps: entries and bytes. */
export async function accountDataSize(
  db: Reader,
  userId: UserId,
): Promise<{ entries: number; bytes: number }> {
  const row = await db.first<{ entries: number; bytes: number | null }>(sql`
    SELECT COUNT(*) AS entries, SUM(LENGTH(content_json)) AS bytes
    FROM account_data WHERE user_id = ${userId}
  `)
  return { entries: Number(row?.entries ?? 0), bytes: Number(row?.bytes ?? 0) }
}

export function deleteAccountData(tx: Writer, userId: UserId): void {
  tx.run(sql`DELETE FROM account_data WHERE user_id = ${userId}`)
}

export type AccountDataOfUser = Pick<AccountDataRow, 'content_json' | 'type'> & {
  readonly user_id: UserId
}

/** What several users keep under some types, for no room. */
export async function accountDataOfUsers(
  db: Reader,
  userIds: readonly UserId[],
  types: readonly string[],
): Promise<AccountDataOfUser[]> {
  return await db.all<AccountDataOfUser>(sql`
    SELECT user_id, type, content_json FROM account_data
    WHERE user_id IN ${texts(userIds)} AND room_id = '' AND type IN ${texts(types)}
  `)
}
