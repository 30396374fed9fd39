/**
 * Events of which the state before them is a guess.
 *
 * @module
 */

import type { EventId } from '#protocol/identifiers/ids.ts'
import { type Reader, sql, type Writer } from './database.ts'

export function putGuessed(tx: Writer, roomNid: number, eventId: EventId): void {
  tx.run(sql`
    INSERT INTO guessed_states (room_nid, event_id) VALUES (${roomNid}, ${eventId})
    ON CONFLICT (room_nid, event_id) DO NOTHING
  `)
}

export async function guessedOf(db: Reader, roomNid: number): Promise<EventId[]> {
  const rows = await db.all<{ event_id: EventId }>(sql`
    SELECT event_id FROM guessed_states WHERE room_nid = ${roomNid}
  `)
  return rows.map((row) => row.event_id)
}
