/**
 * Looks through the store of a server that does not run, for what ought never to be there: events that
 * are not what they were, states that nobody can put together, rooms that nobody could go on from.
 *
 * @module
 */

import { faultOfStored } from '#protocol/check-pdu.ts'
import type { EventId } from '#protocol/identifiers/ids.ts'
import { roomVersions } from '#protocol/room-version.ts'
import type { Reader } from '#storage/database.ts'
import { eventRows, eventStatuses } from '#storage/events.ts'
import type { RoomRow } from '#storage/rooms.ts'
import {
  allRoomRows,
  eventNumbers,
  eventsToCheck,
  eventsWithoutRoom,
  missingStates,
} from '#storage/store-check.ts'
import { StateVersions } from './state-versions.ts'

/** How many events are in memory at once. */
const eventsPerPage = 500
/** How many faults of one kind are told of a room, or of all events. */
const toldMax = 20

export interface StoreExamination {
  readonly rooms: number
  readonly events: number
  /** A sentence for each fault. At most 20 of one kind. */
  readonly problems: readonly string[]
}

/** Examines all rooms and events. Reads only. */
export async function examineStore(db: Reader): Promise<StoreExamination> {
  const rooms = await allRoomRows(db)
  const problems: string[] = []
  for (const room of rooms) problems.push(...(await problemsOfRoom(db, room)))
  const { events, corrupted } = await checkEvents(db)
  problems.push(...corrupted)
  for (const eventId of await eventsWithoutRoom(db, toldMax)) {
    problems.push(`The event ${eventId} belongs to a room that is not there.`)
  }
  return { rooms: rooms.length, events, problems }
}

async function problemsOfRoom(db: Reader, room: RoomRow): Promise<string[]> {
  const { room_id: roomId } = room
  if (!roomVersions.has(room.version)) {
    return [`${roomId} is stored with the version ${room.version}, which there is not.`]
  }
  const missing = await missingStates(db, room.room_nid, toldMax)
  return [
    ...(await problemsOfExtremities(db, room)),
    ...missing.map(
      ({ version, referrer }) =>
        `${roomId} has no state ${version}, to which ${referrer} refers: states are not complete.`,
    ),
    ...(await problemsOfCurrentState(db, room)),
  ]
}

/** Extremities are what the room goes on from: they are there, and accepted. */
async function problemsOfExtremities(db: Reader, room: RoomRow): Promise<string[]> {
  const { room_id: roomId } = room
  const ids = JSON.parse(room.extremities) as EventId[]
  if (ids.length === 0) return [`${roomId} has no forward extremity: nobody can go on from there.`]
  const rows = await eventRows(db, room.room_nid, ids)
  const statuses = new Map(rows.map((row) => [row.event_id, eventStatuses[row.status]]))
  return ids.flatMap((eventId) => {
    const status = statuses.get(eventId)
    if (status === undefined) return [`${roomId} has no event ${eventId}, a forward extremity.`]
    if (status === 'accepted') return []
    return [`${roomId} has ${eventId} as a forward extremity, which is ${status}.`]
  })
}

/** The current state can be put together, and the events in it are there. */
async function problemsOfCurrentState(db: Reader, room: RoomRow): Promise<string[]> {
  const { room_id: roomId, room_nid: roomNid, current_state: version } = room
  const numbers = await eventNumbers(db, roomNid)
  const hole = numbers.findIndex((number, index) => number !== index)
  if (hole >= 0) return [`${roomId} has no state event of number ${hole}, but one of a later one.`]
  const states = await StateVersions.open(db, roomNid)
  let pairs: Int32Array
  try {
    pairs = await states.pairs(version)
  } catch (error) {
    return [`The current state of ${roomId} cannot be read: ${(error as Error).message}.`]
  }
  if (pairs.length === 0) return [`The current state of ${roomId} is empty.`]
  const unknown = pairs.filter((number, at) => at % 2 === 1 && number >= numbers.length)
  return [...unknown.slice(0, toldMax)].map(
    (number) =>
      `The current state of ${roomId} has an event of number ${number}, which is not there.`,
  )
}

/** The bytes of each event are those of which its ID, and the hash of its content, are. */
async function checkEvents(db: Reader): Promise<{ events: number; corrupted: string[] }> {
  const corrupted: string[] = []
  let events = 0
  for (let after = 0; ; ) {
    const rows = await eventsToCheck(db, { after, limit: eventsPerPage })
    for (const { event_nid, event_id, room_id, version, bytes } of rows) {
      after = event_nid
      const rules = roomVersions.get(version)
      if (rules === undefined) continue
      const found = faultOfStored(rules, event_id, bytes)
      if (found === undefined || corrupted.length === toldMax) continue
      corrupted.push(
        `The bytes of ${event_id} in ${room_id} are not those of that event: ${found}.`,
      )
    }
    events += rows.length
    if (rows.length < eventsPerPage) return { events, corrupted }
  }
}
