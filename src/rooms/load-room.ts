/**
 * A room as it is read from the store: its state keys, its auth graph, where it stands. Of a large one
 * that is much, so it is read in slices.
 *
 * @module
 */

import assert from 'node:assert/strict'
import type { Clock } from '#io/clock.ts'
import { Slices } from '#io/slices.ts'
import type { EventId, RoomId } from '#protocol/identifiers/ids.ts'
import type { Pdu } from '#protocol/pdu.ts'
import { roomVersions } from '#protocol/room-version.ts'
import { authEventKindOf } from '#protocol/state-resolution/auth-graph.ts'
import type { Reader } from '#storage/database.ts'
import { eventStatuses, graphRows } from '#storage/events.ts'
import { hasWaitingRedactions, missingParents } from '#storage/gaps.ts'
import { guessedOf } from '#storage/guessed-states.ts'
import { roomRow } from '#storage/rooms.ts'
import { lastStateChange, stateKeyRows } from '#storage/states.ts'
import { unprovedOf } from '#storage/unproved-state.ts'
import { loadPartialRoom } from './partial-room.ts'
import { Room } from './room.ts'
import { integersOf, StateVersions } from './state-versions.ts'

/** How many rows are read at once. */
const page = 1000

/** Loads a room from the store, or `undefined` if it is not there. */
export async function loadRoom(
  { db, clock }: { readonly db: Reader; readonly clock: Clock },
  roomId: RoomId,
): Promise<Room | undefined> {
  const row = await roomRow(db, roomId)
  if (row === undefined) return undefined
  const version = roomVersions.get(row.version)
  assert(version !== undefined, `room ${roomId} is stored with the version ${row.version}`)
  const head = { extremities: JSON.parse(row.extremities) as EventId[], state: row.current_state }
  const states = await StateVersions.open(db, row.room_nid)
  const room = new Room(db, { roomId, roomNid: row.room_nid, version, states, head, clock })
  room.publishedSince = await lastStateChange(db, row.room_nid)
  const slices = new Slices(clock)
  await loadStateKeys(db, room, slices)
  for (const eventId of await missingParents(db, row.room_nid)) room.missingParents.add(eventId)
  for (const { event_id, told, type, state_key } of await unprovedOf(db, row.room_nid)) {
    const key = type === null || state_key === null ? undefined : { type, stateKey: state_key }
    room.unproved.add(event_id, told, key)
  }
  for (const eventId of await guessedOf(db, row.room_nid)) room.guessed.add(eventId)
  room.hasWaitingRedactions = await hasWaitingRedactions(db, row.room_nid)
  room.partial = await loadPartialRoom(db, row.room_nid)
  room.publishedPartial = room.partial
  await loadGraph(db, room, slices)
  return room
}

async function loadStateKeys(db: Reader, room: Room, slices: Slices): Promise<void> {
  for (let from = 0; ; from += page) {
    const rows = await stateKeyRows(db, room.roomNid, { from, limit: page })
    for (const key of rows) room.loadStateKey(key.type, key.state_key)
    if (rows.length < page) return
    if (slices.isOver) await slices.next()
  }
}

async function loadGraph(db: Reader, room: Room, slices: Slices): Promise<void> {
  for (;;) {
    const rows = await graphRows(db, room.roomNid, { from: room.graph.size, limit: page })
    for (const row of rows) {
      const { type, stateKey } = room.stateKey(row.state_key_nid)
      const kind = authEventKindOf({ type, state_key: stateKey } as Pdu)
      room.loadEvent(row.event_id, {
        stateKey: row.state_key_nid,
        authNumbers: integersOf(row.auth_numbers),
        isRejected: eventStatuses[row.status] === 'rejected',
        membership: row.membership,
        append: (numbers) => room.graph.append(numbers, kind),
      })
    }
    if (rows.length < page) return
    if (slices.isOver) await slices.next()
  }
}
