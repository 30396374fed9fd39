/**
 * Events that stick, until they expire. One that has a place in the stream is told to clients from there
 * on; one that has none was soft-failed.
 *
 * @module
 */

import type { EventId, RoomId, UserId } from '#protocol/identifiers/ids.ts'
import { type Reader, sql, texts, type Writer } from './database.ts'

export interface StickyEventRow {
  readonly room_id: RoomId
  readonly event_id: EventId
  readonly sender: UserId
  readonly stream: number | null
  readonly expires_ts: number
}

/** Notes an event, or that one that was soft-failed has its place now: it expires as it would have. */
export function putStickyEvent(tx: Writer, row: StickyEventRow): void {
  tx.run(sql`
    INSERT INTO sticky_events (room_id, event_id, sender, stream, expires_ts)
    VALUES (${row.room_id}, ${row.event_id}, ${row.sender}, ${row.stream}, ${row.expires_ts})
    ON CONFLICT (room_id, event_id) DO UPDATE SET stream = excluded.stream
  `)
}

export function deleteStickyEvent(tx: Writer, roomId: RoomId, eventId: EventId): void {
  tx.run(sql`DELETE FROM sticky_events WHERE room_id = ${roomId} AND event_id = ${eventId}`)
}

export function deleteExpiredStickyEvents(tx: Writer, now: number): void {
  tx.run(sql`DELETE FROM sticky_events WHERE expires_ts <= ${now}`)
}

/** Events that stick to this moment, in some rooms and a part of the stream. */
export interface StickyPart {
  readonly roomIds: readonly RoomId[]
  readonly from: number
  readonly to: number
  readonly now: number
  /** Whose events are left out. */
  readonly ignored: readonly string[]
  readonly limit: number
}

/** What a client is told of an event that sticks. */
export type PlacedStickyEvent = StickyEventRow & { readonly stream: number }

/** The first of them. */
export async function firstStickyEvents(
  db: Reader,
  { roomIds, from, to, now, ignored, limit }: StickyPart,
): Promise<PlacedStickyEvent[]> {
  return await db.all<PlacedStickyEvent>(sql`
    SELECT room_id, event_id, sender, stream, expires_ts FROM sticky_events
    WHERE room_id IN ${texts(roomIds)} AND stream > ${from} AND stream <= ${to}
      AND expires_ts > ${now} AND sender NOT IN ${texts(ignored)}
    ORDER BY stream LIMIT ${limit}
  `)
}

/** The last of them, the newest first. */
export async function lastStickyEvents(
  db: Reader,
  { roomIds, from, to, now, ignored, limit }: StickyPart,
): Promise<PlacedStickyEvent[]> {
  return await db.all<PlacedStickyEvent>(sql`
    SELECT room_id, event_id, sender, stream, expires_ts FROM sticky_events
    WHERE room_id IN ${texts(roomIds)} AND stream > ${from} AND stream <= ${to}
      AND expires_ts > ${now} AND sender NOT IN ${texts(ignored)}
    ORDER BY stream DESC LIMIT ${limit}
  `)
}

/** Those of a room that stick to this moment and were soft-failed, the oldest first. */
export async function softFailedStickyEvents(
  db: Reader,
  roomId: RoomId,
  { now, limit }: { readonly now: number; readonly limit: number },
): Promise<StickyEventRow[]> {
  return await db.all<StickyEventRow>(sql`
    SELECT room_id, event_id, sender, stream, expires_ts FROM sticky_events
    WHERE room_id = ${roomId} AND stream IS NULL AND expires_ts > ${now}
    ORDER BY expires_ts, event_id LIMIT ${limit}
  `)
}

/** When some events of a room expire, of those that stick. */
export async function stickyExpiries(
  db: Reader,
  roomId: RoomId,
  eventIds: readonly EventId[],
): Promise<Pick<StickyEventRow, 'event_id' | 'expires_ts'>[]> {
  return await db.all(sql`
    SELECT event_id, expires_ts FROM sticky_events
    WHERE room_id = ${roomId} AND event_id IN ${texts(eventIds)}
  `)
}
