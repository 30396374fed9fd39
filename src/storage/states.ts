/**
 * The states of rooms: an append-only log of differences for each room, with a whole state whenever
 * the log since the last one has outgrown it. See `migrations/0002-rooms.sql`.
 *
 * @module
 */

import type { RoomId, UserId } from '#protocol/identifiers/ids.ts'
import { type Reader, sql, type Writer } from './database.ts'

export interface StateRow {
  readonly version: number
  readonly parent: number | null
  readonly log_size: number
  readonly pairs: Uint8Array
}

export function putState(tx: Writer, roomNid: number, state: StateRow): void {
  tx.run(sql`
    INSERT INTO state_versions (room_nid, version, parent, log_size, pairs)
    VALUES (${roomNid}, ${state.version}, ${state.parent}, ${state.log_size}, ${state.pairs})
  `)
}

/** A version and those it is a difference of, back to a whole one; the whole one last. */
export async function stateLog(db: Reader, roomNid: number, version: number): Promise<StateRow[]> {
  return await db.all<StateRow>(sql`
    WITH RECURSIVE log (version, parent, log_size, pairs, back) AS (
      SELECT version, parent, log_size, pairs, 0 FROM state_versions
      WHERE room_nid = ${roomNid} AND version = ${version}
      UNION ALL
      SELECT state_versions.version, state_versions.parent, state_versions.log_size,
        state_versions.pairs, log.back + 1
      FROM state_versions JOIN log ON state_versions.version = log.parent
      WHERE state_versions.room_nid = ${roomNid}
    )
    SELECT version, parent, log_size, pairs FROM log ORDER BY back
  `)
}

/** The highest version in use. */
export async function highestState(db: Reader, roomNid: number): Promise<number> {
  const row = await db.first<{ most: number | null }>(sql`
    SELECT MAX(version) AS most FROM state_versions WHERE room_nid = ${roomNid}
  `)
  return row?.most ?? 0
}

export interface StateKeyRow {
  readonly state_key_nid: number
  readonly type: string
  readonly state_key: string
}

export function putStateKey(tx: Writer, roomNid: number, key: StateKeyRow): void {
  tx.run(sql`
    INSERT INTO state_keys (room_nid, state_key_nid, type, state_key)
    VALUES (${roomNid}, ${key.state_key_nid}, ${key.type}, ${key.state_key})
  `)
}

/** The state keys of a room in their order; their numbers begin at 0 and have no holes. */
export async function stateKeyRows(
  db: Reader,
  roomNid: number,
  { from, limit }: { readonly from: number; readonly limit: number },
): Promise<StateKeyRow[]> {
  return await db.all<StateKeyRow>(sql`
    SELECT state_key_nid, type, state_key FROM state_keys
    WHERE room_nid = ${roomNid} AND state_key_nid >= ${from}
    ORDER BY state_key_nid LIMIT ${limit}
  `)
}

/** From this position of the stream on, the room's current state is this version. */
export function putCurrentState(
  tx: Writer,
  roomNid: number,
  current: { readonly stream: number; readonly version: number },
): void {
  tx.run(sql`
    INSERT INTO current_states (room_nid, stream, version)
    VALUES (${roomNid}, ${current.stream}, ${current.version})
  `)
}

/** The version that was current at a position of the stream, if the room was known then. */
export async function currentStateAt(
  db: Reader,
  roomNid: number,
  stream: number,
): Promise<number | undefined> {
  const row = await db.first<{ version: number }>(sql`
    SELECT version FROM current_states WHERE room_nid = ${roomNid} AND stream <= ${stream}
    ORDER BY stream DESC LIMIT 1
  `)
  return row?.version
}

/** From which position of the stream on the room's current state is what it is. */
export async function lastStateChange(db: Reader, roomNid: number): Promise<number | undefined> {
  const row = await db.first<{ most: number | null }>(sql`
    SELECT MAX(stream) AS most FROM current_states WHERE room_nid = ${roomNid}
  `)
  return row?.most ?? undefined
}

/** The rooms with a local user whose current state changed after a position of the stream. */
export async function roomsWithStateSince(db: Reader, stream: number): Promise<RoomId[]> {
  const rows = await db.all<{ room_id: RoomId }>(sql`
    SELECT DISTINCT rooms.room_id FROM current_states
    JOIN rooms ON rooms.room_nid = current_states.room_nid
    WHERE current_states.stream > ${stream} ORDER BY rooms.room_id
  `)
  return rows.map((row) => row.room_id)
}

/** The rooms with a local user in which a user, of any server, is or was a member of some kind. */
export async function sharedRoomsWithMember(db: Reader, userId: UserId): Promise<RoomId[]> {
  const rows = await db.all<{ room_id: RoomId }>(sql`
    SELECT rooms.room_id FROM state_keys JOIN rooms ON rooms.room_nid = state_keys.room_nid
    WHERE state_keys.type = 'm.room.member' AND state_keys.state_key = ${userId} AND EXISTS (
      SELECT 1 FROM local_memberships
      WHERE local_memberships.room_id = rooms.room_id AND membership = 'join'
    ) ORDER BY rooms.room_id
  `)
  return rows.map((row) => row.room_id)
}
