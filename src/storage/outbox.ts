/**
 * The durable outbox: which events are still to be sent to which servers.
 *
 * A row is written in the unit that stores the event, so that an event is never stored without
 * being sent, nor sent without being stored. It is deleted once the destination has answered 200.
 *
 * @module
 */

import type { EventId, RoomId, ServerName } from '#protocol/identifiers/ids.ts'
import { type Reader, sql, type Writer } from './database.ts'

/** One event that is to be sent to one server. */
export interface OutboxRow {
  readonly stream: number
  readonly sub: number
  readonly event_id: EventId
  readonly room_id: RoomId
  /** How often the destination has refused it. */
  readonly refusals: number
}

/** Queues an event for each of `destinations`, which must not name ourselves. */
export function addToOutbox(
  tx: Writer,
  event: {
    readonly stream: number
    /** The order among events that share a stream position; 0 if it is left out. */
    readonly sub?: number
    readonly roomId: RoomId
    readonly eventId: EventId
    readonly destinations: readonly ServerName[]
  },
): void {
  for (const destination of event.destinations) {
    tx.run(sql`
      INSERT INTO outbox (destination, stream, sub, event_id, room_id)
      VALUES (${destination}, ${event.stream}, ${event.sub ?? 0}, ${event.eventId}, ${event.roomId})
      ON CONFLICT DO NOTHING
    `)
  }
}

/** The servers that have something to be sent. */
export async function outboxDestinations(db: Reader): Promise<ServerName[]> {
  const rows = await db.all<{ destination: ServerName }>(sql`
    SELECT DISTINCT destination FROM outbox ORDER BY destination
  `)
  return rows.map((row) => row.destination)
}

/** The oldest rows of a destination, in the order in which they are to be sent. */
export async function outboxOf(
  db: Reader,
  destination: ServerName,
  limit: number,
): Promise<OutboxRow[]> {
  return await db.all<OutboxRow>(sql`
    SELECT stream, sub, event_id, room_id, refusals FROM outbox WHERE destination = ${destination}
    ORDER BY stream, sub, event_id LIMIT ${limit}
  `)
}

/** Whether a destination has more than `count` rows. */
export async function isOutboxLongerThan(
  db: Reader,
  destination: ServerName,
  count: number,
): Promise<boolean> {
  const row = await db.first(sql`
    SELECT 1 AS found FROM outbox WHERE destination = ${destination} LIMIT 1 OFFSET ${count}
  `)
  return row !== undefined
}

/** Forgets rows: the destination has the events. */
export function removeFromOutbox(
  tx: Writer,
  destination: ServerName,
  rows: readonly OutboxRow[],
): void {
  for (const row of rows) {
    tx.run(sql`
      DELETE FROM outbox WHERE destination = ${destination} AND stream = ${row.stream}
      AND sub = ${row.sub} AND event_id = ${row.event_id}
    `)
  }
}

/**
 * Keeps of each room only what its newest commit brought, and events that stick. The destination learns from that which
 * earlier events it lacks, and asks for them. A stream position belongs to one commit of one room,
 * so that the position alone tells which rows are the newest of their room.
 */
export function keepNewestOfEachRoom(tx: Writer, destination: ServerName): void {
  tx.run(sql`
    DELETE FROM outbox WHERE destination = ${destination} AND stream NOT IN (
      SELECT MAX(stream) FROM outbox WHERE destination = ${destination} GROUP BY room_id
    ) AND NOT EXISTS (
      SELECT 1 FROM sticky_events s
      WHERE s.room_id = outbox.room_id AND s.event_id = outbox.event_id
    )
  `)
}
