/**
 * Questions to a whole store, for who looks whether it is sound.
 *
 * @module
 */

import type { EventId, RoomId } from '#protocol/identifiers/ids.ts'
import { type Reader, sql } from './database.ts'
import type { RoomRow } from './rooms.ts'

export async function allRoomRows(db: Reader): Promise<RoomRow[]> {
  return await db.all<RoomRow>(sql`
    SELECT room_nid, room_id, version, extremities, current_state FROM rooms ORDER BY room_nid
  `)
}

export interface CheckedEventRow {
  readonly event_nid: number
  readonly event_id: EventId
  readonly room_id: RoomId
  readonly version: string
  readonly bytes: Uint8Array
}

/** The events of rooms that are there, a page in the order of their making. */
export async function eventsToCheck(
  db: Reader,
  { after, limit }: { readonly after: number; readonly limit: number },
): Promise<CheckedEventRow[]> {
  return await db.all<CheckedEventRow>(sql`
    SELECT events.event_nid, events.event_id, rooms.room_id, rooms.version, events.bytes
    FROM events JOIN rooms ON rooms.room_nid = events.room_nid
    WHERE events.event_nid > ${after} ORDER BY events.event_nid LIMIT ${limit}
  `)
}

/** The IDs of events whose room is not there, and is not on its way in or out either. */
export async function eventsWithoutRoom(db: Reader, limit: number): Promise<EventId[]> {
  const rows = await db.all<{ event_id: EventId }>(sql`
    SELECT event_id FROM events
    WHERE room_nid NOT IN (SELECT room_nid FROM rooms)
      AND room_nid NOT IN (SELECT room_nid FROM room_imports)
    ORDER BY event_nid LIMIT ${limit}
  `)
  return rows.map((row) => row.event_id)
}

export interface MissingState {
  readonly version: number
  /** The state, or the event, or the moment of the stream, that refers to it. */
  readonly referrer: string
}

/** The states of a room that something refers to and that are not there. Version 0 is the empty one. */
export async function missingStates(
  db: Reader,
  roomNid: number,
  limit: number,
): Promise<MissingState[]> {
  return await db.all<MissingState>(sql`
    WITH named (version, referrer) AS (
      SELECT parent, 'state ' || CAST(version AS TEXT) FROM state_versions
      WHERE room_nid = ${roomNid} AND parent IS NOT NULL
      UNION ALL SELECT state_before, event_id FROM events
      WHERE room_nid = ${roomNid} AND state_before IS NOT NULL
      UNION ALL SELECT state_after, event_id FROM events
      WHERE room_nid = ${roomNid} AND state_after IS NOT NULL
      UNION ALL SELECT version, 'position ' || CAST(stream AS TEXT) FROM current_states
      WHERE room_nid = ${roomNid}
    )
    SELECT version, referrer FROM named WHERE version <> 0 AND NOT EXISTS (
      SELECT 1 FROM state_versions AS found
      WHERE found.room_nid = ${roomNid} AND found.version = named.version
    ) LIMIT ${limit}
  `)
}

/** The numbers of a room's state events, in order. */
export async function eventNumbers(db: Reader, roomNid: number): Promise<number[]> {
  const rows = await db.all<{ number: number }>(sql`
    SELECT number FROM events WHERE room_nid = ${roomNid} AND number IS NOT NULL ORDER BY number
  `)
  return rows.map((row) => row.number)
}

/** The hashes of all files that media are in. */
export async function namedFiles(db: Reader): Promise<string[]> {
  const rows = await db.all<{ sha256: string }>(sql`
    SELECT sha256 FROM local_media WHERE sha256 IS NOT NULL
    UNION SELECT sha256 FROM remote_media UNION SELECT sha256 FROM thumbnails
    ORDER BY sha256
  `)
  return rows.map((row) => row.sha256)
}

/** How much waits in the store to be done, by what it is. */
export interface Waiting {
  readonly staged: number
  readonly staged_with_problem: number
  readonly outbox: number
  readonly edu_outbox: number
  readonly device_outbox: number
  readonly quarantine: number
  readonly partial_rooms: number
  readonly room_imports: number
  readonly loose_files: number
}

export async function waitingCounts(db: Reader): Promise<Waiting> {
  const row = await db.first<Waiting>(sql`
    SELECT
      (SELECT COUNT(*) FROM staged_pdus WHERE problem IS NULL) AS staged,
      (SELECT COUNT(*) FROM staged_pdus WHERE problem IS NOT NULL) AS staged_with_problem,
      (SELECT COUNT(*) FROM outbox) AS outbox,
      (SELECT COUNT(*) FROM edu_outbox) AS edu_outbox,
      (SELECT COUNT(*) FROM device_outbox) AS device_outbox,
      (SELECT COUNT(*) FROM outbox_quarantine) AS quarantine,
      (SELECT COUNT(*) FROM partial_rooms) AS partial_rooms,
      (SELECT COUNT(*) FROM room_imports) AS room_imports,
      (SELECT COUNT(*) FROM loose_media_files) AS loose_files
  `)
  return row as Waiting
}
