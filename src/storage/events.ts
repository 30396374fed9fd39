/**
 * The events of rooms. Every look-up names its room: an event of another room is not found.
 *
 * @module
 */

import { crc32 } from 'node:zlib'
import type { EventId, RoomId } from '#protocol/identifiers/ids.ts'
import { integers, type Reader, sql, texts, type Writer } from './database.ts'

/** `status` as it is stored: the place in this list. */
export const eventStatuses = ['accepted', 'soft_failed', 'rejected', 'outlier'] as const

export interface EventRow {
  readonly event_nid: number
  readonly event_id: EventId
  readonly status: number
  readonly stream: number | null
  readonly sub: number | null
  readonly depth: number
  readonly state_before: number | null
  readonly state_after: number | null
  readonly number: number | null
  readonly state_key_nid: number | null
  readonly redacted_by: EventId | null
  readonly bytes: Uint8Array
  /** What `checksumOf` gave when the bytes were stored; `null` if they were before there were any. */
  readonly checksum: number | null
}

/** The columns by which the bytes of an event are read. */
export type EventBytesRow = Pick<EventRow, 'event_id' | 'redacted_by' | 'bytes' | 'checksum'>

/** An event row with whether a parent of it is missing. */
export interface PlacedEventRow extends EventRow {
  readonly gap_before: number
}

const columns = sql`event_nid, event_id, status, stream, sub, depth, state_before, state_after,
  number, state_key_nid, redacted_by, bytes, checksum`
const gapBefore = sql`EXISTS (SELECT 1 FROM missing_parents WHERE
  missing_parents.room_nid = events.room_nid AND missing_parents.stream = events.stream
  AND missing_parents.sub = events.sub) AS gap_before`

export async function highestEventNid(db: Reader): Promise<number> {
  const row = await db.first<{ most: number | null }>(
    sql`SELECT MAX(event_nid) AS most FROM events`,
  )
  return row?.most ?? 0
}

/** A number that is another one if a disk changes the bytes, or gives those of another event. */
export function checksumOf(eventId: EventId, bytes: Uint8Array): number {
  return crc32(bytes, crc32(eventId))
}

/** Adds an event, or puts what is known of it now in the place of an outlier. */
export function putEvent(
  tx: Writer,
  roomNid: number,
  event: Omit<EventRow, 'redacted_by' | 'checksum'> & {
    readonly origin_server_ts: number
    readonly auth_numbers: Uint8Array | null
    readonly membership: number
  },
): void {
  tx.run(sql`
    INSERT INTO events (event_nid, room_nid, event_id, status, stream, sub, depth, state_before,
      state_after, number, state_key_nid, auth_numbers, membership, origin_server_ts,
      redacted_by, bytes, checksum)
    VALUES (${event.event_nid}, ${roomNid}, ${event.event_id}, ${event.status}, ${event.stream},
      ${event.sub}, ${event.depth}, ${event.state_before}, ${event.state_after}, ${event.number},
      ${event.state_key_nid}, ${event.auth_numbers}, ${event.membership}, ${event.origin_server_ts},
      ${null}, ${event.bytes}, ${checksumOf(event.event_id, event.bytes)})
    ON CONFLICT (room_nid, event_id) DO UPDATE SET status = excluded.status,
      stream = excluded.stream, sub = excluded.sub, state_before = excluded.state_before,
      state_after = excluded.state_after, number = excluded.number,
      state_key_nid = excluded.state_key_nid, auth_numbers = excluded.auth_numbers
  `)
}

export async function eventRows(
  db: Reader,
  roomNid: number,
  eventIds: readonly EventId[],
): Promise<PlacedEventRow[]> {
  return await db.all<PlacedEventRow>(sql`
    SELECT ${columns}, ${gapBefore} FROM events
    WHERE room_nid = ${roomNid} AND event_id IN ${texts(eventIds)}
  `)
}

/** The versions of the state before events; those that have none are left out. */
export async function statesBeforeEvents(
  db: Reader,
  roomNid: number,
  eventIds: readonly EventId[],
): Promise<Map<EventId, number>> {
  const rows = await db.all<{ event_id: EventId; state_before: number }>(sql`
    SELECT event_id, state_before FROM events
    WHERE room_nid = ${roomNid} AND event_id IN ${texts(eventIds)} AND state_before IS NOT NULL
  `)
  return new Map(rows.map(({ event_id, state_before }) => [event_id, state_before]))
}

/** The bytes of events, in no order. */
export async function eventBytesRows(
  db: Reader,
  roomNid: number,
  eventIds: readonly EventId[],
): Promise<EventBytesRow[]> {
  return await db.all<EventBytesRow>(sql`
    SELECT event_id, redacted_by, bytes, checksum FROM events
    WHERE room_nid = ${roomNid} AND event_id IN ${texts(eventIds)}
  `)
}

/** Those of the events that are stored, whatever their status. */
export async function storedEventIds(
  db: Reader,
  roomNid: number,
  eventIds: readonly EventId[],
): Promise<EventId[]> {
  const rows = await db.all<{ event_id: EventId }>(sql`
    SELECT event_id FROM events WHERE room_nid = ${roomNid} AND event_id IN ${texts(eventIds)}
  `)
  return rows.map((row) => row.event_id)
}

/** State events by their numbers in the room. */
export async function numberedEventRows(
  db: Reader,
  roomNid: number,
  numbers: readonly number[],
): Promise<EventRow[]> {
  return await db.all<EventRow>(sql`
    SELECT ${columns} FROM events WHERE room_nid = ${roomNid} AND number IN ${integers(numbers)}
  `)
}

/** What the auth graph of a room is made of, a page in the order of the numbers. */
export interface GraphRow {
  readonly number: number
  readonly event_id: EventId
  readonly state_key_nid: number
  readonly status: number
  readonly auth_numbers: Uint8Array
  readonly membership: number
}

export async function graphRows(
  db: Reader,
  roomNid: number,
  { from, limit }: { readonly from: number; readonly limit: number },
): Promise<GraphRow[]> {
  return await db.all<GraphRow>(sql`
    SELECT number, event_id, state_key_nid, status, auth_numbers, membership FROM events
    WHERE room_nid = ${roomNid} AND number >= ${from} ORDER BY number LIMIT ${limit}
  `)
}

/** A place in a timeline. */
export interface Place {
  readonly stream: number
  readonly sub: number
}

/** Accepted events of the timeline before `from`, going back, down to `until`, itself excluded. */
export async function eventsBefore(
  db: Reader,
  roomNid: number,
  range: { readonly from: Place; readonly until: Place; readonly limit: number },
): Promise<PlacedEventRow[]> {
  const { from, until, limit } = range
  return await db.all<PlacedEventRow>(sql`
    SELECT ${columns}, ${gapBefore} FROM events
    WHERE room_nid = ${roomNid} AND (stream, sub) < (${from.stream}, ${from.sub})
      AND (stream, sub) > (${until.stream}, ${until.sub})
    ORDER BY stream DESC, sub DESC LIMIT ${limit}
  `)
}

/** Accepted events of the timeline after `from`, going on, up to `until`, itself excluded. */
export async function eventsAfter(
  db: Reader,
  roomNid: number,
  range: { readonly from: Place; readonly until: Place; readonly limit: number },
): Promise<PlacedEventRow[]> {
  const { from, until, limit } = range
  return await db.all<PlacedEventRow>(sql`
    SELECT ${columns}, ${gapBefore} FROM events
    WHERE room_nid = ${roomNid} AND (stream, sub) > (${from.stream}, ${from.sub})
      AND (stream, sub) < (${until.stream}, ${until.sub})
    ORDER BY stream, sub LIMIT ${limit}
  `)
}

/** The last position of the stream before `stream` at which the room has an event; 0 if there is none. */
export async function streamBefore(db: Reader, roomNid: number, stream: number): Promise<number> {
  const row = await db.first<{ most: number | null }>(sql`
    SELECT MAX(stream) AS most FROM events WHERE room_nid = ${roomNid} AND stream < ${stream}
  `)
  return row?.most ?? 0
}

/** The lowest `sub` in use at a position of the stream: history is put before it. */
export async function lowestSub(db: Reader, roomNid: number, stream: number): Promise<number> {
  const row = await db.first<{ least: number | null }>(sql`
    SELECT MIN(sub) AS least FROM events WHERE room_nid = ${roomNid} AND stream = ${stream}
  `)
  return row?.least ?? 0
}

/**
 * The newest position of each room's timeline, and that of its current state, which may change without
 * an event in the timeline that says so.
 */
export async function newestPositions(
  db: Reader,
  { rooms, after }: { readonly rooms: readonly string[]; readonly after: number },
): Promise<{ room_id: string; stream: number }[]> {
  return await db.all(sql`
    SELECT rooms.room_id AS room_id, MAX(events.stream) AS stream FROM events
    JOIN rooms ON rooms.room_nid = events.room_nid
    WHERE rooms.room_id IN ${texts(rooms)} AND events.stream > ${after} GROUP BY rooms.room_id
    UNION ALL
    SELECT rooms.room_id AS room_id, MAX(current_states.stream) AS stream FROM current_states
    JOIN rooms ON rooms.room_nid = current_states.room_nid
    WHERE rooms.room_id IN ${texts(rooms)} AND current_states.stream > ${after}
    GROUP BY rooms.room_id
  `)
}

/** Puts a stored event into the timeline. */
export function placeEvent(tx: Writer, roomNid: number, eventId: EventId, place: Place): void {
  tx.run(sql`
    UPDATE events SET stream = ${place.stream}, sub = ${place.sub}
    WHERE room_nid = ${roomNid} AND event_id = ${eventId}
  `)
}

/** Sets the states before and after an event, and what follows from them. */
export function restateEvent(
  tx: Writer,
  roomNid: number,
  event: Pick<EventRow, 'event_id' | 'status' | 'stream' | 'sub' | 'state_before' | 'state_after'>,
): void {
  tx.run(sql`
    UPDATE events SET status = ${event.status}, stream = ${event.stream}, sub = ${event.sub},
      state_before = ${event.state_before}, state_after = ${event.state_after}
    WHERE room_nid = ${roomNid} AND event_id = ${event.event_id}
  `)
}

/** Puts the redacted form in the place of an event. */
export function redactEvent(
  tx: Writer,
  roomNid: number,
  redaction: {
    readonly eventId: EventId
    readonly redactedBy: EventId
    readonly bytes: Uint8Array
  },
): void {
  tx.run(sql`
    UPDATE events SET bytes = ${redaction.bytes}, redacted_by = ${redaction.redactedBy},
      checksum = ${checksumOf(redaction.eventId, redaction.bytes)}
    WHERE room_nid = ${roomNid} AND event_id = ${redaction.eventId}
  `)
}

/** Why an event was rejected or soft-failed. */
export interface VerdictRow {
  readonly rule: string
  /** Of a soft-failed event: the version of the room's state that refused it. */
  readonly current_state: number | null
}

export function putVerdict(
  tx: Writer,
  roomNid: number,
  eventId: EventId,
  verdict: VerdictRow,
): void {
  tx.run(sql`
    INSERT INTO verdicts (room_nid, event_id, rule, current_state)
    VALUES (${roomNid}, ${eventId}, ${verdict.rule}, ${verdict.current_state})
    ON CONFLICT (room_nid, event_id) DO UPDATE SET rule = excluded.rule,
      current_state = excluded.current_state
  `)
}

/** The event is accepted after all. */
export function removeVerdict(tx: Writer, roomNid: number, eventId: EventId): void {
  tx.run(sql`DELETE FROM verdicts WHERE room_nid = ${roomNid} AND event_id = ${eventId}`)
}

export async function verdictRow(
  db: Reader,
  roomNid: number,
  eventId: EventId,
): Promise<VerdictRow | undefined> {
  return await db.first<VerdictRow>(sql`
    SELECT rule, current_state FROM verdicts
    WHERE room_nid = ${roomNid} AND event_id = ${eventId}
  `)
}

/** Why events were rejected or soft-failed; those that were not are left out. */
export async function verdictRules(
  db: Reader,
  roomNid: number,
  eventIds: readonly EventId[],
): Promise<Map<EventId, string>> {
  const rows = await db.all<{ event_id: EventId; rule: string }>(sql`
    SELECT event_id, rule FROM verdicts
    WHERE room_nid = ${roomNid} AND event_id IN ${texts(eventIds)}
  `)
  return new Map(rows.map(({ event_id, rule }) => [event_id, rule]))
}

/** Events that were rejected or soft-failed, within a range of depths, the newest first. */
export async function refusedEventRows(
  db: Reader,
  roomNid: number,
  range: { readonly least: number; readonly most: number; readonly limit: number },
): Promise<EventRow[]> {
  return await db.all<EventRow>(sql`
    SELECT ${columns} FROM events
    WHERE room_nid = ${roomNid} AND depth BETWEEN ${range.least} AND ${range.most}
      AND event_id IN (SELECT event_id FROM verdicts WHERE room_nid = ${roomNid})
    ORDER BY event_nid DESC LIMIT ${range.limit}
  `)
}

/** The rooms with an event of this ID, some of them if they are many. */
export async function roomsOfEvent(db: Reader, eventId: EventId): Promise<RoomId[]> {
  const rows = await db.all<{ room_id: RoomId }>(sql`
    SELECT rooms.room_id AS room_id FROM events JOIN rooms ON rooms.room_nid = events.room_nid
    WHERE events.event_id = ${eventId} ORDER BY rooms.room_nid LIMIT 50
  `)
  return rows.map((row) => row.room_id)
}

/** The room of an event. */
export async function roomOfEvent(db: Reader, eventId: EventId): Promise<RoomId | undefined> {
  const row = await db.first<{ room_id: RoomId }>(sql`
    SELECT rooms.room_id AS room_id FROM events JOIN rooms ON rooms.room_nid = events.room_nid
    WHERE events.event_id = ${eventId}
  `)
  return row?.room_id
}
