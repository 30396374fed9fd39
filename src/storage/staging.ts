/**
 * PDUs that were acknowledged to their sender and are still to be worked on.
 *
 * @module
 */

import type { EventId, RoomId, ServerName } from '#protocol/identifiers/ids.ts'
import { integers, type Reader, sql, type Writer } from './database.ts'

export interface StagedRow {
  readonly staged_nid: number
  readonly room_id: RoomId
  readonly event_id: EventId
  readonly origin: ServerName
  readonly staged_ts: number
  /** How often what it lacks was asked for. */
  readonly tries: number
  /** What is wrong with it, so that it is not tried any more. */
  readonly problem: string | null
  readonly bytes: Uint8Array
}

export type StagedListRow = Omit<StagedRow, 'bytes'>

export function stagePdu(tx: Writer, row: Omit<StagedRow, 'tries' | 'problem'>): void {
  tx.run(sql`
    INSERT INTO staged_pdus (staged_nid, room_id, event_id, origin, staged_ts, tries, bytes)
    VALUES (${row.staged_nid}, ${row.room_id}, ${row.event_id}, ${row.origin}, ${row.staged_ts},
      ${0}, ${row.bytes})
  `)
}

export function unstagePdus(tx: Writer, stagedNids: readonly number[]): void {
  if (stagedNids.length === 0) return
  tx.run(sql`DELETE FROM staged_pdus WHERE staged_nid IN ${integers(stagedNids)}`)
}

/** What these lack was asked for once more, and could not be had. */
export function countStagedTry(tx: Writer, stagedNids: readonly number[]): void {
  tx.run(sql`
    UPDATE staged_pdus SET tries = tries + 1 WHERE staged_nid IN ${integers(stagedNids)}
  `)
}

export function setStagedProblem(tx: Writer, stagedNid: number, problem: string): void {
  tx.run(sql`UPDATE staged_pdus SET problem = ${problem} WHERE staged_nid = ${stagedNid}`)
}

/** All of a room are tried again. Resolves to the numbers of those that were not. */
export async function forgetStagedProblems(tx: Writer, roomId: RoomId): Promise<number[]> {
  const rows = await tx.returning<{ staged_nid: number }>(sql`
    UPDATE staged_pdus SET problem = ${null} WHERE room_id = ${roomId} AND problem IS NOT NULL
    RETURNING staged_nid
  `)
  return rows.map(({ staged_nid }) => staged_nid)
}

/** Takes away all of one event, and resolves to their numbers. */
export async function unstageEvent(
  tx: Writer,
  roomId: RoomId,
  eventId: EventId,
): Promise<number[]> {
  const rows = await tx.returning<{ staged_nid: number }>(sql`
    DELETE FROM staged_pdus WHERE room_id = ${roomId} AND event_id = ${eventId}
    RETURNING staged_nid
  `)
  return rows.map(({ staged_nid }) => staged_nid)
}

/** The numbers of those of a room that are to be tried. */
export async function stagedNids(db: Reader, roomId: RoomId): Promise<number[]> {
  const rows = await db.all<{ staged_nid: number }>(sql`
    SELECT staged_nid FROM staged_pdus WHERE room_id = ${roomId} AND problem IS NULL
  `)
  return rows.map(({ staged_nid }) => staged_nid)
}

const columns = sql`staged_nid, room_id, event_id, origin, staged_ts, tries, problem`

/** Those of a room that are to be tried, in the order in which they came. */
export async function stagedOfRoom(
  db: Reader,
  roomId: RoomId,
  range: { readonly after: number; readonly upTo?: number; readonly limit: number },
): Promise<StagedRow[]> {
  const { after, upTo = Number.MAX_SAFE_INTEGER, limit } = range
  return await db.all<StagedRow>(sql`
    SELECT ${columns}, bytes FROM staged_pdus
    WHERE room_id = ${roomId} AND staged_nid > ${after} AND staged_nid <= ${upTo}
      AND problem IS NULL
    ORDER BY staged_nid LIMIT ${limit}
  `)
}

export interface StagedSizeRow {
  readonly staged_nid: number
  readonly origin: ServerName
  /** In bytes. */
  readonly size: number
}

/** How large these are. */
export async function stagedSizes(
  db: Reader,
  roomId: RoomId,
  { after, limit }: { readonly after: number; readonly limit: number },
): Promise<StagedSizeRow[]> {
  return await db.all<StagedSizeRow>(sql`
    SELECT staged_nid, origin, length(bytes) AS size FROM staged_pdus
    WHERE room_id = ${roomId} AND staged_nid > ${after} AND problem IS NULL
    ORDER BY staged_nid LIMIT ${limit}
  `)
}

/** One that is to be tried, if it is still there. */
export async function stagedRow(db: Reader, stagedNid: number): Promise<StagedRow | undefined> {
  return await db.first<StagedRow>(sql`
    SELECT ${columns}, bytes FROM staged_pdus
    WHERE staged_nid = ${stagedNid} AND problem IS NULL
  `)
}

/** All of them, the oldest first, without their bytes. */
export async function stagedList(
  db: Reader,
  { after, limit }: { readonly after: number; readonly limit: number },
): Promise<StagedListRow[]> {
  return await db.all<StagedListRow>(sql`
    SELECT ${columns} FROM staged_pdus
    WHERE staged_nid > ${after} ORDER BY staged_nid LIMIT ${limit}
  `)
}

/** An event, if it waits. */
export async function stagedEvent(
  db: Reader,
  eventId: EventId,
): Promise<StagedListRow | undefined> {
  return await db.first<StagedListRow>(sql`
    SELECT ${columns} FROM staged_pdus
    WHERE event_id = ${eventId} ORDER BY staged_nid LIMIT 1
  `)
}

/** The rooms in which any are to be tried. */
export async function roomsWithStaged(db: Reader): Promise<RoomId[]> {
  const rows = await db.all<{ room_id: RoomId }>(sql`
    SELECT DISTINCT room_id FROM staged_pdus WHERE problem IS NULL ORDER BY room_id
  `)
  return rows.map(({ room_id }) => room_id)
}

export async function highestStagedNid(db: Reader): Promise<number> {
  const row = await db.first<{ most: number | null }>(
    sql`SELECT MAX(staged_nid) AS most FROM staged_pdus`,
  )
  return row?.most ?? 0
}
