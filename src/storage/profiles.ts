/**
 * The profiles of our users, field by field.
 *
 * @module
 */

import type { UserId } from '#protocol/identifiers/ids.ts'
import { type Reader, sql, texts, type Writer } from './database.ts'

export interface ProfileFieldRow {
  readonly field: string
  readonly value_json: string
}

export async function profileFieldsOf(db: Reader, userId: UserId): Promise<ProfileFieldRow[]> {
  return await db.all<ProfileFieldRow>(sql`
    SELECT field, value_json FROM profile_fields WHERE user_id = ${userId} ORDER BY field
  `)
}

export function setProfileField(tx: Writer, userId: UserId, field: string, json: string): void {
  tx.run(sql`
    INSERT INTO profile_fields (user_id, field, value_json) VALUES (${userId}, ${field}, ${json})
    ON CONFLICT (user_id, field) DO UPDATE SET value_json = excluded.value_json
  `)
}

export function deleteProfileField(tx: Writer, userId: UserId, field: string): void {
  tx.run(sql`DELETE FROM profile_fields WHERE user_id = ${userId} AND field = ${field}`)
}

/** The fields of several users. */
export async function profileFieldsOfUsers(
  db: Reader,
  userIds: readonly UserId[],
): Promise<(ProfileFieldRow & { readonly user_id: UserId })[]> {
  return await db.all(sql`
    SELECT user_id, field, value_json FROM profile_fields WHERE user_id IN ${texts(userIds)}
    ORDER BY user_id, field
  `)
}

export function noteProfileChange(
  tx: Writer,
  { userId, field, stream }: { userId: UserId; field: string; stream: number },
): void {
  tx.run(sql`
    INSERT INTO profile_changes (user_id, field, stream) VALUES (${userId}, ${field}, ${stream})
    ON CONFLICT (user_id, field) DO UPDATE SET stream = excluded.stream
  `)
}

/** Which fields of whom changed after `from`, up to and including `to`. */
export async function profileChanges(
  db: Reader,
  { from, to }: { readonly from: number; readonly to: number },
): Promise<{ readonly user_id: UserId; readonly field: string }[]> {
  return await db.all(sql`
    SELECT user_id, field FROM profile_changes
    WHERE stream > ${from} AND stream <= ${to} ORDER BY stream, user_id, field
  `)
}

export function deleteProfile(tx: Writer, userId: UserId): void {
  tx.run(sql`DELETE FROM profile_fields WHERE user_id = ${userId}`)
}
