/**
 * Events that others gave as part of a room's state and that could not be proved.
 *
 * @module
 */

import type { EventId } from '#protocol/identifiers/ids.ts'
import { type Reader, sql, type Writer } from './database.ts'

export interface UnprovedRow {
  readonly event_id: EventId
  /** Larger for those of a state that was told later. */
  readonly told: number
  /** Where in the state it stands, if that is known. */
  readonly type: string | null
  readonly state_key: string | null
}

export function putUnproved(tx: Writer, roomNid: number, unproved: UnprovedRow): void {
  const { event_id, told, type, state_key } = unproved
  tx.run(sql`
    INSERT INTO unproved_state (room_nid, event_id, told, type, state_key)
    VALUES (${roomNid}, ${event_id}, ${told}, ${type}, ${state_key})
    ON CONFLICT (room_nid, event_id) DO UPDATE
    SET told = excluded.told, type = excluded.type, state_key = excluded.state_key
  `)
}

/** All of a room, those of the last state at the end. */
export async function unprovedOf(db: Reader, roomNid: number): Promise<UnprovedRow[]> {
  return await db.all<UnprovedRow>(sql`
    SELECT event_id, told, type, state_key FROM unproved_state WHERE room_nid = ${roomNid}
    ORDER BY told, event_id
  `)
}
