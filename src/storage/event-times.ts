/**
 * The events of a room's timeline by the time at which they say they were sent.
 *
 * @module
 */

import type { EventId } from '#protocol/identifiers/ids.ts'
import { type Reader, sql, type Writer } from './database.ts'

export interface TimedEventRow {
  readonly event_id: EventId
  readonly origin_server_ts: number
}

/** Events sent at a time or after it, the earliest first. */
export async function eventsFromTime(
  db: Reader,
  roomNid: number,
  { ts, limit }: { readonly ts: number; readonly limit: number },
): Promise<TimedEventRow[]> {
  return await db.all<TimedEventRow>(sql`
    SELECT event_id, origin_server_ts FROM events
    WHERE room_nid = ${roomNid} AND stream IS NOT NULL AND origin_server_ts >= ${ts}
    ORDER BY origin_server_ts, stream, sub LIMIT ${limit}
  `)
}

/** Events sent at a time or before it, the latest first. */
export async function eventsUpToTime(
  db: Reader,
  roomNid: number,
  { ts, limit }: { readonly ts: number; readonly limit: number },
): Promise<TimedEventRow[]> {
  return await db.all<TimedEventRow>(sql`
    SELECT event_id, origin_server_ts FROM events
    WHERE room_nid = ${roomNid} AND stream IS NOT NULL AND origin_server_ts <= ${ts}
    ORDER BY origin_server_ts DESC, stream DESC, sub DESC LIMIT ${limit}
  `)
}

/** Events whose time is only in their bytes. */
export async function eventsWithoutTime(
  db: Reader,
  roomNid: number,
  limit: number,
): Promise<{ readonly event_nid: number; readonly bytes: Uint8Array }[]> {
  return await db.all(sql`
    SELECT event_nid, bytes FROM events
    WHERE room_nid = ${roomNid} AND stream IS NOT NULL AND origin_server_ts IS NULL
    LIMIT ${limit}
  `)
}

export function setEventTime(tx: Writer, eventNid: number, ts: number): void {
  tx.run(sql`UPDATE events SET origin_server_ts = ${ts} WHERE event_nid = ${eventNid}`)
}
