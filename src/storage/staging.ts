/**
 * PDUs that were acknowledged to their sender and are still to be worked on.
 *
 * @module
 */

import type { EventId, RoomId, ServerName } from '#protocol/identifiers/ids.ts'
import { type Reader, sql, type Writer } from './database.ts'

export interface StagedRow {
  readonly staged_nid: number
  readonly room_id: RoomId
  readonly event_id: EventId
  readonly origin: ServerName
  readonly tries: number
  readonly bytes: Uint8Array
}

export function stagePdu(tx: Writer, row: StagedRow): void {
  tx.run(sql`
    INSERT INTO staged_pdus (staged_nid, room_id, event_id, origin, tries, bytes)
    VALUES (${row.staged_nid}, ${row.room_id}, ${row.event_id}, ${row.origin}, ${row.tries},
      ${row.bytes})
  `)
}

export function unstagePdu(tx: Writer, stagedNid: number): void {
  tx.run(sql`DELETE FROM staged_pdus WHERE staged_nid = ${stagedNid}`)
}

export async function stagedPdus(db: Reader): Promise<StagedRow[]> {
  return await db.all<StagedRow>(sql`
    SELECT staged_nid, room_id, event_id, origin, tries, bytes FROM staged_pdus
    ORDER BY staged_nid
  `)
}

export async function highestStagedNid(db: Reader): Promise<number> {
  const row = await db.first<{ most: number | null }>(
    sql`SELECT MAX(staged_nid) AS most FROM staged_pdus`,
  )
  return row?.most ?? 0
}
