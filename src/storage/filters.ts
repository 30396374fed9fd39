/**
 * The filters that clients keep here for /sync.
 *
 * @module
 */

import type { UserId } from '#protocol/identifiers/ids.ts'
import { type Reader, sql, type Writer } from './database.ts'

export function addFilter(tx: Writer, userId: UserId, filterId: string, json: string): void {
  tx.run(sql`
    INSERT INTO filters (user_id, filter_id, filter_json) VALUES (${userId}, ${filterId}, ${json})
    ON CONFLICT DO NOTHING
  `)
}

export async function filterOf(
  db: Reader,
  userId: UserId,
  filterId: string,
): Promise<string | undefined> {
  const row = await db.first<{ filter_json: string }>(sql`
    SELECT filter_json FROM filters WHERE user_id = ${userId} AND filter_id = ${filterId}
  `)
  return row?.filter_json
}

export async function filterCount(db: Reader, userId: UserId): Promise<number> {
  const row = await db.first<{ count: number }>(sql`
    SELECT COUNT(*) AS count FROM filters WHERE user_id = ${userId}
  `)
  return Number(row?.count ?? 0)
}

export function deleteFilters(tx: Writer, userId: UserId): void {
  tx.run(sql`DELETE FROM filters WHERE user_id = ${userId}`)
}
