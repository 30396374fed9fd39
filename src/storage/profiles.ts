/**
 * The profiles of our users, field by field.
 *
 * @module
 */

import type { UserId } from '#protocol/identifiers/ids.ts'
import { type Reader, sql, type Writer } from './database.ts'

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

export function deleteProfile(tx: Writer, userId: UserId): void {
  tx.run(sql`DELETE FROM profile_fields WHERE user_id = ${userId}`)
}
