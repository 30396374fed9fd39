/**
 * Backups of room keys: their versions, and the keys in them.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#server-side-key-backups
 *
 * @module
 */

import type { RoomId, UserId } from '#protocol/identifiers/ids.ts'
import { type Reader, type Sql, sql, texts, type Writer } from './database.ts'

export interface BackupRef {
  readonly userId: UserId
  readonly version: number
}

export interface BackupRow {
  readonly version: number
  readonly algorithm: string
  readonly auth_data_json: string
  readonly etag: number
  readonly count: number
}

export interface BackedUpKeyRow {
  readonly room_id: RoomId
  readonly session_id: string
  readonly is_verified: number
  readonly first_message_index: number
  readonly forwarded_count: number
  readonly key_json: string
}

/** Which keys of a backup: all, those of a room, or one. */
export interface KeyRange {
  readonly roomId?: RoomId | undefined
  readonly sessionId?: string | undefined
}

/** The last version of any backup of a user; 0 if there was none. */
export async function lastBackupVersion(db: Reader, userId: UserId): Promise<number> {
  const row = await db.first<{ last: number }>(sql`
    SELECT last FROM key_backup_versions WHERE user_id = ${userId}
  `)
  return row?.last ?? 0
}

/** A user's backups, the newest first. */
export async function backupsOf(db: Reader, userId: UserId): Promise<BackupRow[]> {
  return await db.all<BackupRow>(sql`
    SELECT version, algorithm, auth_data_json, etag, count FROM key_backups
    WHERE user_id = ${userId} ORDER BY version DESC
  `)
}

export function addBackup(
  tx: Writer,
  { userId, version }: BackupRef,
  { algorithm, auth_data_json }: Pick<BackupRow, 'algorithm' | 'auth_data_json'>,
): void {
  tx.run(sql`
    INSERT INTO key_backup_versions (user_id, last) VALUES (${userId}, ${version})
    ON CONFLICT (user_id) DO UPDATE SET last = excluded.last
  `)
  tx.run(sql`
    INSERT INTO key_backups (user_id, version, algorithm, auth_data_json, etag, count)
    VALUES (${userId}, ${version}, ${algorithm}, ${auth_data_json}, 0, 0)
  `)
}

export function setBackupAuth(
  tx: Writer,
  { userId, version }: BackupRef,
  authDataJson: string,
): void {
  tx.run(sql`
    UPDATE key_backups SET auth_data_json = ${authDataJson}
    WHERE user_id = ${userId} AND version = ${version}
  `)
}

/** The keys of a backup are others now. The unit fails if the backup is gone. */
export function setBackupCount(tx: Writer, { userId, version }: BackupRef, count: number): void {
  tx.expect(
    sql`
      UPDATE key_backups SET etag = etag + 1, count = ${count}
      WHERE user_id = ${userId} AND version = ${version}
    `,
    'the backup has been deleted',
  )
}

export function deleteBackup(tx: Writer, { userId, version }: BackupRef): void {
  tx.run(sql`DELETE FROM backed_up_keys WHERE user_id = ${userId} AND version = ${version}`)
  tx.run(sql`DELETE FROM key_backups WHERE user_id = ${userId} AND version = ${version}`)
}

/** Deletes all backups of a user. */
export function deleteBackups(tx: Writer, userId: UserId): void {
  tx.run(sql`DELETE FROM backed_up_keys WHERE user_id = ${userId}`)
  tx.run(sql`DELETE FROM key_backups WHERE user_id = ${userId}`)
}

/** What of these keys of a room is in the backup. */
export async function backedUpSessions(
  db: Reader,
  { userId, version }: BackupRef,
  { roomId, sessionIds }: { readonly roomId: RoomId; readonly sessionIds: readonly string[] },
): Promise<Omit<BackedUpKeyRow, 'key_json'>[]> {
  return await db.all(sql`
    SELECT room_id, session_id, is_verified, first_message_index, forwarded_count
    FROM backed_up_keys WHERE user_id = ${userId} AND version = ${version}
    AND room_id = ${roomId} AND session_id IN ${texts(sessionIds)}
  `)
}

export function setBackedUpKey(
  tx: Writer,
  { userId, version }: BackupRef,
  key: BackedUpKeyRow,
): void {
  tx.run(sql`
    INSERT INTO backed_up_keys (user_id, version, room_id, session_id, is_verified,
      first_message_index, forwarded_count, key_json)
    VALUES (${userId}, ${version}, ${key.room_id}, ${key.session_id}, ${key.is_verified},
      ${key.first_message_index}, ${key.forwarded_count}, ${key.key_json})
    ON CONFLICT (user_id, version, room_id, session_id) DO UPDATE SET
      is_verified = excluded.is_verified, first_message_index = excluded.first_message_index,
      forwarded_count = excluded.forwarded_count, key_json = excluded.key_json
  `)
}

/** A page of the keys, by room and session; those after a place, if one is given. */
export async function backedUpKeys(
  db: Reader,
  { userId, version }: BackupRef,
  {
    after = { room_id: '', session_id: '' },
    limit,
    ...range
  }: KeyRange & {
    readonly after?: { readonly room_id: string; readonly session_id: string } | undefined
    readonly limit: number
  },
): Promise<Pick<BackedUpKeyRow, 'room_id' | 'session_id' | 'key_json'>[]> {
  return await db.all(sql`
    SELECT room_id, session_id, key_json FROM backed_up_keys
    WHERE user_id = ${userId} AND version = ${version} ${inRange(range)}
    AND (room_id, session_id) > (${after.room_id}, ${after.session_id})
    ORDER BY room_id, session_id LIMIT ${limit}
  `)
}

export async function backedUpKeyCount(
  db: Reader,
  { userId, version }: BackupRef,
  range: KeyRange,
): Promise<number> {
  const row = await db.first<{ count: number }>(sql`
    SELECT COUNT(*) AS count FROM backed_up_keys
    WHERE user_id = ${userId} AND version = ${version} ${inRange(range)}
  `)
  return Number(row?.count ?? 0)
}

export function deleteBackedUpKeys(
  tx: Writer,
  { userId, version }: BackupRef,
  range: KeyRange,
): void {
  tx.run(sql`
    DELETE FROM backed_up_keys
    WHERE user_id = ${userId} AND version = ${version} ${inRange(range)}
  `)
}

function inRange({ roomId, sessionId }: KeyRange): Sql {
  if (roomId === undefined) return sql``
  if (sessionId === undefined) return sql`AND room_id = ${roomId}`
  return sql`AND room_id = ${roomId} AND session_id = ${sessionId}`
}
