/**
 * What users are notified of, and up to where they have read.
 *
 * There is one row an event, however many users it notifies: nearly always it is all of the room. And
 * reading changes one row, however much was read: what is unread of a room is what stands after the
 * position up to which it, or the thread, was read.
 *
 * @module
 */

import type { EventId, RoomId, UserId } from '#protocol/identifiers/ids.ts'
import { type Reader, sql, type Writer } from './database.ts'

/** The thread of what is in none. */
export const mainThread = 'main'

export interface NotifiedEventRow {
  readonly room_id: RoomId
  readonly stream: number
  readonly thread_id: string
  readonly event_id: EventId
  readonly sender: UserId
  readonly ts: number
  readonly highlights: number
  readonly audience: string
}

export function addNotifiedEvent(tx: Writer, row: NotifiedEventRow): void {
  tx.run(sql`
    INSERT INTO notified_events (room_id, stream, thread_id, event_id, sender, ts, highlights,
      audience)
    VALUES (${row.room_id}, ${row.stream}, ${row.thread_id}, ${row.event_id}, ${row.sender},
      ${row.ts}, ${row.highlights}, ${row.audience})
  `)
}

/** An event is redacted: nobody is notified of it any more. */
export function removeNotifiedEvent(tx: Writer, roomId: RoomId, stream: number): void {
  tx.run(sql`DELETE FROM notified_events WHERE room_id = ${roomId} AND stream = ${stream}`)
}

/** The same of what one of our users has sent, by which it is known up to where they have read. */
export function notifyNobody(tx: Writer, roomId: RoomId, stream: number): void {
  tx.run(sql`
    UPDATE notified_events SET highlights = 0, audience = '[]'
    WHERE room_id = ${roomId} AND stream = ${stream}
  `)
}

/** Keeps the newest rows of a room. */
export function trimNotifiedEvents(tx: Writer, roomId: RoomId, count: number): void {
  tx.run(sql`
    DELETE FROM notified_events WHERE room_id = ${roomId} AND stream < COALESCE((
      SELECT stream FROM notified_events WHERE room_id = ${roomId}
      ORDER BY stream DESC LIMIT 1 OFFSET ${count}
    ), 0)
  `)
}

/** A part of the stream: after `from`, up to and including `to`. */
export interface StreamPart {
  readonly from: number
  readonly to: number
}

/** The first rows of a room in a part of the stream. */
export async function notifiedEvents(
  db: Reader,
  roomId: RoomId,
  { from, to }: StreamPart,
  limit: number,
): Promise<NotifiedEventRow[]> {
  return await db.all<NotifiedEventRow>(sql`
    SELECT room_id, stream, thread_id, event_id, sender, ts, highlights, audience
    FROM notified_events
    WHERE room_id = ${roomId} AND stream > ${from} AND stream <= ${to}
    ORDER BY stream LIMIT ${limit}
  `)
}

/** The last rows of a room in a part of the stream, the last first. */
export async function lastNotifiedEvents(
  db: Reader,
  roomId: RoomId,
  { from, to }: StreamPart,
  { limit, highlights }: { readonly limit: number; readonly highlights: boolean },
): Promise<NotifiedEventRow[]> {
  const which = highlights ? sql`AND highlights = 1` : sql``
  return await db.all<NotifiedEventRow>(sql`
    SELECT room_id, stream, thread_id, event_id, sender, ts, highlights, audience
    FROM notified_events
    WHERE room_id = ${roomId} AND stream > ${from} AND stream <= ${to} ${which}
    ORDER BY stream DESC LIMIT ${limit}
  `)
}

export interface ReadPositionRow {
  readonly user_id: UserId
  readonly room_id: RoomId
  /** Empty for all of the room. */
  readonly thread_id: string
  readonly position: number
  /** When the last of it changed. */
  readonly changed: number
}

/** Moves a position on; never back. It is no change if there was nothing before it. */
export function setReadPosition(tx: Writer, row: ReadPositionRow): void {
  tx.run(sql`
    INSERT INTO read_positions (user_id, room_id, thread_id, position, since, changed)
    SELECT CAST(${row.user_id} AS TEXT), CAST(${row.room_id} AS TEXT),
      CAST(${row.thread_id} AS TEXT), CAST(${row.position} AS BIGINT), 0,
      CASE WHEN EXISTS (
        SELECT 1 FROM notified_events n
        WHERE n.room_id = ${row.room_id} AND n.stream <= ${row.position}
          AND n.stream > COALESCE((SELECT p.position FROM read_positions p
            WHERE p.user_id = ${row.user_id} AND p.room_id = ${row.room_id}
              AND p.thread_id = ${row.thread_id}), 0)
      ) THEN CAST(${row.changed} AS BIGINT) ELSE 0 END
    WHERE TRUE
    ON CONFLICT (user_id, room_id, thread_id) DO UPDATE SET position = excluded.position,
      changed = CASE WHEN excluded.changed > read_positions.changed THEN excluded.changed
        ELSE read_positions.changed END
    WHERE excluded.position > read_positions.position
  `)
}

/** A user has come into a room, or gone: of what was before, nothing is unread. */
export function beginToRead(
  tx: Writer,
  { userId, roomId, stream }: { userId: UserId; roomId: RoomId; stream: number },
): void {
  tx.run(sql`
    INSERT INTO read_positions (user_id, room_id, thread_id, position, since, changed)
    VALUES (${userId}, ${roomId}, ${''}, ${stream}, ${stream}, ${stream})
    ON CONFLICT (user_id, room_id, thread_id) DO UPDATE SET position = excluded.position,
      since = excluded.since, changed = excluded.changed
  `)
}

/** What is unread has changed for those who are in the room. */
export function touchReadPositions(tx: Writer, roomId: RoomId, changed: number): void {
  tx.run(sql`
    INSERT INTO read_positions (user_id, room_id, thread_id, position, since, changed)
    SELECT user_id, room_id, '', 0, 0, CAST(${changed} AS BIGINT) FROM local_memberships
    WHERE room_id = ${roomId} AND membership = 'join'
    ON CONFLICT (user_id, room_id, thread_id) DO UPDATE SET changed = excluded.changed
  `)
}

export async function readPositions(
  db: Reader,
  userId: UserId,
  roomId: RoomId,
): Promise<(Omit<ReadPositionRow, 'room_id' | 'user_id'> & { readonly since: number })[]> {
  return await db.all(sql`
    SELECT thread_id, position, since, changed FROM read_positions
    WHERE user_id = ${userId} AND room_id = ${roomId}
  `)
}

/** The rooms in which what is unread changed by reading in a part of the stream. */
export async function roomsReadSince(
  db: Reader,
  userId: UserId,
  { from, to }: StreamPart,
): Promise<RoomId[]> {
  const rows = await db.all<{ room_id: RoomId }>(sql`
    SELECT DISTINCT room_id FROM read_positions
    WHERE user_id = ${userId} AND changed > ${from} AND changed <= ${to}
  `)
  return rows.map(({ room_id }) => room_id)
}
