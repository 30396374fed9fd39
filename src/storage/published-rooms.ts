/**
 * The rooms in the published directory of this server, each with what it looks like from outside.
 *
 * What is shown of a room is worked out from a version of its state and kept with the number of that
 * version, so that a listing need not load rooms, and one that is out of date shows by itself.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#published-room-directory
 *
 * @module
 */

import type { RoomId } from '#protocol/identifiers/ids.ts'
import { type Reader, sql, type Writer } from './database.ts'

/** A room that is shown. The list is ordered by these two. */
export interface ListedRoomRow extends ListPlace {
  readonly summary_json: string
}

export interface ListPlace {
  readonly joined_members: number
  readonly room_id: RoomId
}

export async function isPublished(db: Reader, roomId: RoomId): Promise<boolean> {
  const row = await db.first(sql`SELECT room_id FROM published_rooms WHERE room_id = ${roomId}`)
  return row !== undefined
}

/** The room is shown once it has a summary. */
export function setPublished(tx: Writer, roomId: RoomId, published: boolean): void {
  if (!published) tx.run(sql`DELETE FROM published_rooms WHERE room_id = ${roomId}`)
  else {
    tx.run(sql`INSERT INTO published_rooms (room_id) VALUES (${roomId}) ON CONFLICT DO NOTHING`)
  }
}

/** Shows one room in the place of the other, if that is published. */
export function replacePublished(
  tx: Writer,
  { from, to }: { readonly from: RoomId; readonly to: RoomId },
): void {
  tx.run(sql`
    UPDATE published_rooms SET room_id = ${to}, state_version = -1, joined_members = 0,
      summary_json = '{}', summarised_ts = 0 WHERE room_id = ${from}
  `)
}

/**
 * Published rooms whose state is not the one that is shown, those that waited longest first. By
 * `CROSS JOIN` SQLite goes from the published rooms to the rooms, and not from all rooms.
 */
export async function outdatedRooms(
  db: Reader,
  limit: number,
): Promise<{ readonly room_id: RoomId; readonly current_state: number }[]> {
  return await db.all(sql`
    SELECT p.room_id, r.current_state FROM published_rooms p CROSS JOIN rooms r
    WHERE r.room_id = p.room_id AND p.state_version <> r.current_state
    ORDER BY p.summarised_ts, p.room_id LIMIT ${limit}
  `)
}

/** Shows a room as it is in a version of its state; one without members is not shown. */
export function setSummary(
  tx: Writer,
  roomId: RoomId,
  summary: {
    readonly stateVersion: number
    readonly joinedMembers: number
    readonly json: string
    readonly now: number
  },
): void {
  tx.run(sql`
    UPDATE published_rooms SET state_version = ${summary.stateVersion},
      joined_members = ${summary.joinedMembers}, summary_json = ${summary.json},
      summarised_ts = ${summary.now}
    WHERE room_id = ${roomId}
  `)
}

/** Shown rooms after a place in the list, the largest first. */
export async function listedRoomsAfter(
  db: Reader,
  { joined_members, room_id }: ListPlace,
  limit: number,
): Promise<ListedRoomRow[]> {
  return await db.all<ListedRoomRow>(sql`
    SELECT room_id, joined_members, summary_json FROM published_rooms
    WHERE joined_members > 0 AND (joined_members, room_id) < (${joined_members}, ${room_id})
    ORDER BY joined_members DESC, room_id DESC LIMIT ${limit}
  `)
}

/** Shown rooms before a place in the list, going back. */
export async function listedRoomsBefore(
  db: Reader,
  { joined_members, room_id }: ListPlace,
  limit: number,
): Promise<ListedRoomRow[]> {
  return await db.all<ListedRoomRow>(sql`
    SELECT room_id, joined_members, summary_json FROM published_rooms
    WHERE joined_members > 0 AND (joined_members, room_id) > (${joined_members}, ${room_id})
    ORDER BY joined_members, room_id LIMIT ${limit}
  `)
}

export async function listedRoomCount(db: Reader): Promise<number> {
  const row = await db.first<{ rooms: number }>(sql`
    SELECT COUNT(*) AS rooms FROM published_rooms WHERE joined_members > 0
  `)
  return row?.rooms ?? 0
}
