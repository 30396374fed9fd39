/**
 * The rooms this server knows, with their forward extremities and current state.
 *
 * @module
 */

import type { EventId, RoomId } from '#protocol/identifiers/ids.ts'
import { type Reader, sql, type Writer } from './database.ts'

export interface RoomRow {
  readonly room_nid: number
  readonly room_id: RoomId
  readonly version: string
  readonly extremities: string
  readonly current_state: number
}

export async function roomRow(db: Reader, roomId: RoomId): Promise<RoomRow | undefined> {
  return await db.first<RoomRow>(sql`
    SELECT room_nid, room_id, version, extremities, current_state FROM rooms
    WHERE room_id = ${roomId}
  `)
}

/** The rooms of which this server holds a timeline, in the order of their making. */
export async function allRooms(db: Reader): Promise<RoomId[]> {
  const rows = await db.all<{ room_id: RoomId }>(sql`SELECT room_id FROM rooms ORDER BY room_nid`)
  return rows.map((row) => row.room_id)
}

/** Some of them, by their IDs, from after one on. */
export async function roomsAfter(
  db: Reader,
  { after, limit }: { readonly after: string; readonly limit: number },
): Promise<RoomId[]> {
  const rows = await db.all<{ room_id: RoomId }>(sql`
    SELECT room_id FROM rooms WHERE room_id > ${after} ORDER BY room_id LIMIT ${limit}
  `)
  return rows.map((row) => row.room_id)
}

/** The highest room ID number in use. */
export async function highestRoomNid(db: Reader): Promise<number> {
  const row = await db.first<{ most: number | null }>(sql`SELECT MAX(room_nid) AS most FROM rooms`)
  return row?.most ?? 0
}

export function addRoom(
  tx: Writer,
  room: { readonly roomNid: number; readonly roomId: RoomId; readonly version: string },
): void {
  tx.run(sql`
    INSERT INTO rooms (room_nid, room_id, version, extremities, current_state)
    VALUES (${room.roomNid}, ${room.roomId}, ${room.version}, ${'[]'}, ${0})
  `)
}

/** Notes that events of a room are in the store which is not there, yet or any more. */
export function setImporting(tx: Writer, roomNid: number): void {
  tx.run(sql`INSERT INTO room_imports (room_nid) VALUES (${roomNid}) ON CONFLICT DO NOTHING`)
}

/** Notes that the room is there, or all of it gone. */
export function setImported(tx: Writer, roomNid: number): void {
  tx.run(sql`DELETE FROM room_imports WHERE room_nid = ${roomNid}`)
}

/** Sets the forward extremities and the version of the current state. */
export function setRoomHead(
  tx: Writer,
  roomNid: number,
  head: { readonly extremities: readonly EventId[]; readonly currentState: number },
): void {
  const extremities = JSON.stringify(head.extremities)
  tx.run(sql`
    UPDATE rooms SET extremities = ${extremities}, current_state = ${head.currentState}
    WHERE room_nid = ${roomNid}
  `)
}
