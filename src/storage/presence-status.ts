/**
 * The status messages of our users.
 *
 * @module
 */

import type { UserId } from '#protocol/identifiers/ids.ts'
import { type Reader, sql, type Writer } from './database.ts'

export async function statusMessage(db: Reader, userId: UserId): Promise<string | undefined> {
  const row = await db.first<{ status_msg: string }>(sql`
    SELECT status_msg FROM presence_status WHERE user_id = ${userId}
  `)
  return row?.status_msg
}

export function setStatusMessage(tx: Writer, userId: UserId, message: string | undefined): void {
  if (message === undefined) {
    tx.run(sql`DELETE FROM presence_status WHERE user_id = ${userId}`)
    return
  }
  tx.run(sql`
    INSERT INTO presence_status (user_id, status_msg) VALUES (${userId}, ${message})
    ON CONFLICT (user_id) DO UPDATE SET status_msg = excluded.status_msg
  `)
}
