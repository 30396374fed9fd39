/**
 * Rooms of whose state members were left out when we joined, and what is to be judged again once all
 * of it is known.
 *
 * @module
 */

import type { EventId, RoomId, ServerName } from '#protocol/identifiers/ids.ts'
import { type Reader, sql, type Writer } from './database.ts'

export interface PartialRoomRow {
  readonly resident: ServerName
  /** A JSON list. */
  readonly servers: string
  readonly since_ts: number
  /** 1 if nobody of ours had been in the room before. */
  readonly is_new: number
  readonly tries: number
  readonly problem: string | null
}

export interface PartialEventRow {
  readonly place: number
  readonly event_id: EventId
  /** The place in `stateOrigins`. */
  readonly origin: number
  readonly is_live: number
}

/** Where the state before an event comes from, in the order of the numbers that are stored. */
export const stateOrigins = ['parents', 'told', 'unknown', 'join'] as const

const columns = sql`resident, servers, since_ts, is_new, tries, problem`

export async function partialRoomRow(
  db: Reader,
  roomNid: number,
): Promise<PartialRoomRow | undefined> {
  return await db.first<PartialRoomRow>(sql`
    SELECT ${columns} FROM partial_rooms WHERE room_nid = ${roomNid}
  `)
}

/** All of them, the longest known first. */
export async function partialRoomRows(
  db: Reader,
): Promise<(PartialRoomRow & { readonly room_id: RoomId })[]> {
  return await db.all(sql`
    SELECT rooms.room_id AS room_id, ${columns} FROM partial_rooms
    JOIN rooms ON rooms.room_nid = partial_rooms.room_nid
    ORDER BY since_ts, partial_rooms.room_nid
  `)
}

/** Notes that members are left out of a room's state. Of a room where they were already, the rest stays. */
export function setPartial(
  tx: Writer,
  roomNid: number,
  row: Omit<PartialRoomRow, 'tries' | 'problem'>,
): void {
  tx.run(sql`
    INSERT INTO partial_rooms (room_nid, resident, servers, since_ts, is_new, tries, problem)
    VALUES (${roomNid}, ${row.resident}, ${row.servers}, ${row.since_ts}, ${row.is_new}, ${0}, ${null})
    ON CONFLICT (room_nid) DO UPDATE SET resident = excluded.resident, servers = excluded.servers,
      since_ts = excluded.since_ts, is_new = excluded.is_new, tries = ${0}, problem = ${null}
  `)
}

/** The whole state was asked for in vain. */
export function countPartialTry(tx: Writer, roomNid: number, problem: string): void {
  tx.run(sql`
    UPDATE partial_rooms SET tries = tries + 1, problem = ${problem} WHERE room_nid = ${roomNid}
  `)
}

/** Where in the stream a room was joined without all of its state, and where that was known. */
export interface CompletedRow {
  readonly joined: number
  readonly stream: number
}

/** The whole state is known. */
export function setComplete(tx: Writer, roomNid: number, { joined, stream }: CompletedRow): void {
  tx.run(sql`DELETE FROM partial_rooms WHERE room_nid = ${roomNid}`)
  tx.run(sql`DELETE FROM partial_events WHERE room_nid = ${roomNid}`)
  tx.run(sql`
    INSERT INTO completed_rooms (room_nid, joined, stream) VALUES (${roomNid}, ${joined}, ${stream})
    ON CONFLICT (room_nid) DO UPDATE SET joined = excluded.joined, stream = excluded.stream
  `)
}

/** The last time that the state of a room became known whole, if it ever did. */
export async function completedRow(db: Reader, roomNid: number): Promise<CompletedRow | undefined> {
  return await db.first<CompletedRow>(sql`
    SELECT joined, stream FROM completed_rooms WHERE room_nid = ${roomNid}
  `)
}

export function addPartialEvent(tx: Writer, roomNid: number, row: PartialEventRow): void {
  tx.run(sql`
    INSERT INTO partial_events (room_nid, place, event_id, origin, is_live)
    VALUES (${roomNid}, ${row.place}, ${row.event_id}, ${row.origin}, ${row.is_live})
  `)
}

/** The events of a room that are to be judged again, in the order in which they were judged. */
export async function partialEventRows(db: Reader, roomNid: number): Promise<PartialEventRow[]> {
  return await db.all<PartialEventRow>(sql`
    SELECT place, event_id, origin, is_live FROM partial_events
    WHERE room_nid = ${roomNid} ORDER BY place
  `)
}
