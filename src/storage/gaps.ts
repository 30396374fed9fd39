/**
 * What a room's history lacks here: parents of events, and events that a redaction waits for.
 *
 * @module
 */

import type { EventId } from '#protocol/identifiers/ids.ts'
import { type Reader, sql, type Writer } from './database.ts'

export interface GapRow {
  readonly stream: number
  readonly sub: number
  /** The event before which something is missing. */
  readonly event_id: EventId
  readonly missing: EventId
}

export function addMissingParent(
  tx: Writer,
  roomNid: number,
  gap: { readonly stream: number; readonly sub: number; readonly missing: EventId },
): void {
  tx.run(sql`
    INSERT INTO missing_parents (room_nid, stream, sub, event_id)
    VALUES (${roomNid}, ${gap.stream}, ${gap.sub}, ${gap.missing}) ON CONFLICT DO NOTHING
  `)
}

/** Wherever the one event is missing, the other is missing too. */
export function passOnGaps(
  tx: Writer,
  roomNid: number,
  { refused, missing }: { readonly refused: EventId; readonly missing: EventId },
): void {
  tx.run(sql`
    INSERT INTO missing_parents (room_nid, stream, sub, event_id)
    SELECT room_nid, stream, sub, ${missing} FROM missing_parents
    WHERE room_nid = ${roomNid} AND event_id = ${refused} ON CONFLICT DO NOTHING
  `)
}

/** The event is here now. */
export function parentIsHere(tx: Writer, roomNid: number, eventId: EventId): void {
  tx.run(sql`DELETE FROM missing_parents WHERE room_nid = ${roomNid} AND event_id = ${eventId}`)
}

/** Nothing stands at this place any more. */
export function removeGapsAt(
  tx: Writer,
  roomNid: number,
  { stream, sub }: { readonly stream: number; readonly sub: number },
): void {
  tx.run(sql`
    DELETE FROM missing_parents
    WHERE room_nid = ${roomNid} AND stream = ${stream} AND sub = ${sub}
  `)
}

/** All parents that a room lacks. */
export async function missingParents(db: Reader, roomNid: number): Promise<EventId[]> {
  const rows = await db.all<{ event_id: EventId }>(sql`
    SELECT DISTINCT event_id FROM missing_parents WHERE room_nid = ${roomNid}
  `)
  return rows.map((row) => row.event_id)
}

/** What is missing at one position of the stream. */
export async function missingAt(db: Reader, roomNid: number, stream: number): Promise<EventId[]> {
  const rows = await db.all<{ event_id: EventId }>(sql`
    SELECT DISTINCT event_id FROM missing_parents WHERE room_nid = ${roomNid} AND stream = ${stream}
  `)
  return rows.map((row) => row.event_id)
}

/** Gaps at or before a place, the latest first. */
export async function gapRows(
  db: Reader,
  roomNid: number,
  from: { readonly stream: number; readonly sub: number; readonly limit: number },
): Promise<GapRow[]> {
  return await db.all<GapRow>(sql`
    SELECT missing_parents.stream AS stream, missing_parents.sub AS sub,
      events.event_id AS event_id, missing_parents.event_id AS missing
    FROM missing_parents JOIN events ON events.room_nid = missing_parents.room_nid
      AND events.stream = missing_parents.stream AND events.sub = missing_parents.sub
    WHERE missing_parents.room_nid = ${roomNid}
      AND (missing_parents.stream, missing_parents.sub) <= (${from.stream}, ${from.sub})
    ORDER BY missing_parents.stream DESC, missing_parents.sub DESC, missing_parents.event_id
    LIMIT ${from.limit}
  `)
}

export function awaitRedacted(
  tx: Writer,
  roomNid: number,
  redaction: { readonly redacts: EventId; readonly eventId: EventId },
): void {
  tx.run(sql`
    INSERT INTO waiting_redactions (room_nid, redacts, event_id)
    VALUES (${roomNid}, ${redaction.redacts}, ${redaction.eventId}) ON CONFLICT DO NOTHING
  `)
}

/** No redaction waits for this event any more. */
export function isRedactedNow(tx: Writer, roomNid: number, eventId: EventId): void {
  tx.run(sql`DELETE FROM waiting_redactions WHERE room_nid = ${roomNid} AND redacts = ${eventId}`)
}

/** Whether any redaction of the room waits. */
export async function hasWaitingRedactions(db: Reader, roomNid: number): Promise<boolean> {
  const row = await db.first(sql`
    SELECT 1 AS found FROM waiting_redactions WHERE room_nid = ${roomNid} LIMIT 1
  `)
  return row !== undefined
}

/** The redactions that wait for one of these events. */
export async function waitingRedactions(
  db: Reader,
  roomNid: number,
  eventId: EventId,
): Promise<EventId[]> {
  const rows = await db.all<{ event_id: EventId }>(sql`
    SELECT event_id FROM waiting_redactions WHERE room_nid = ${roomNid} AND redacts = ${eventId}
    ORDER BY event_id
  `)
  return rows.map((row) => row.event_id)
}
