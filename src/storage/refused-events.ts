/**
 * Events that other servers could not use, as they said in their answers to our transactions. For them
 * the matter is closed; whoever wonders why somebody does not see an event finds the reason here.
 *
 * @module
 */

import type { EventId, RoomId, ServerName } from '#protocol/identifiers/ids.ts'
import { type Reader, sql, type Writer } from './database.ts'

export interface RefusedEvent {
  readonly destination: ServerName
  readonly event_id: EventId
  readonly room_id: RoomId
  /** In the other server's words. */
  readonly error: string
  readonly refused_ts: number
}

/** How many are kept of one server: the newest. */
const keptMax = 1000

/** Notes what one server could not use, and forgets what it said long ago. */
export function noteRefusedEvents(
  tx: Writer,
  destination: ServerName,
  events: readonly Omit<RefusedEvent, 'destination'>[],
): void {
  for (const { event_id, room_id, error, refused_ts } of events) {
    tx.run(sql`
      INSERT INTO refused_events (destination, event_id, room_id, error, refused_ts)
      VALUES (${destination}, ${event_id}, ${room_id}, ${error}, ${refused_ts})
      ON CONFLICT (destination, event_id) DO UPDATE SET error = excluded.error,
        refused_ts = excluded.refused_ts
    `)
  }
  tx.run(sql`
    DELETE FROM refused_events WHERE destination = ${destination} AND event_id NOT IN (
      SELECT event_id FROM refused_events WHERE destination = ${destination}
      ORDER BY refused_ts DESC, event_id LIMIT ${keptMax}
    )
  `)
}

/** What servers said of one event, by destination. */
export async function refusalsOf(
  db: Reader,
  roomId: RoomId,
  eventId: EventId,
): Promise<RefusedEvent[]> {
  return await db.all<RefusedEvent>(sql`
    SELECT destination, event_id, room_id, error, refused_ts FROM refused_events
    WHERE event_id = ${eventId} AND room_id = ${roomId} ORDER BY destination LIMIT ${keptMax}
  `)
}

/** What one server could not use, the newest first. */
export async function refusedBy(
  db: Reader,
  destination: ServerName,
  limit: number,
): Promise<RefusedEvent[]> {
  return await db.all<RefusedEvent>(sql`
    SELECT destination, event_id, room_id, error, refused_ts FROM refused_events
    WHERE destination = ${destination} ORDER BY refused_ts DESC, event_id LIMIT ${limit}
  `)
}
