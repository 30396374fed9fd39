/**
 * A batch as statements: what one turn of a room's queue brings is added to the unit that commits it.
 *
 * Each event takes its place in the stream here, in the order in which it was taken: first those that
 * were judged again, then the new ones, then redactions that waited, then what sticks.
 *
 * @module
 */

import type { EventId } from '#protocol/identifiers/ids.ts'
import type { Pdu } from '#protocol/pdu.ts'
import { relationOf } from '#protocol/relations.ts'
import { stickyMsOf } from '#protocol/sticky.ts'
import type { Writer } from '#storage/database.ts'
import {
  eventStatuses,
  placeEvent,
  putEvent,
  putVerdict,
  redactEvent,
  removeVerdict,
  restateEvent,
} from '#storage/events.ts'
import {
  addMissingParent,
  awaitRedacted,
  isRedactedNow,
  parentIsHere,
  passOnGaps,
  removeGapsAt,
} from '#storage/gaps.ts'
import { addToOutbox } from '#storage/outbox.ts'
import { addPartialEvent, setComplete, setPartial, stateOrigins } from '#storage/partial-rooms.ts'
import { addRelation, removeRelation } from '#storage/relations.ts'
import { addRoom, setImported, setImporting, setRoomHead } from '#storage/rooms.ts'
import { indexTerms, removeTerms } from '#storage/search-terms.ts'
import { unstagePdus } from '#storage/staging.ts'
import { putCurrentState, putStateKey } from '#storage/states.ts'
import { deleteStickyEvent } from '#storage/sticky-events.ts'
import type { Batch, NewEvent, Placed, Replaced, Restated } from './batch.ts'
import { membershipCodeOf } from './membership-codes.ts'
import type { Room } from './room.ts'
import type { Position } from './rooms.ts'
import { bytesOf } from './state-versions.ts'
import { writeSticky } from './sticky.ts'

/** What became of a batch. */
export interface Written {
  readonly placed: readonly Placed[]
  readonly replaced: readonly Replaced[]
  /** The positions of `lateRedactions`. */
  readonly late: readonly Position[]
  readonly states: readonly number[]
  readonly last: number
}

/**
 * Adds the first events to a unit of their own, ahead of the rest, and gives their IDs. Only for a
 * room that nobody sees before the rest is committed.
 */
export function writeFirst(tx: Writer, batch: Batch, count: number): EventId[] {
  const { room, events } = batch
  writeKeys(tx, batch, count)
  const until = events.findIndex(({ place }) => place !== 'nowhere')
  const first = events.splice(0, Math.min(count, until === -1 ? count : until))
  for (const event of first) writeEvent(tx, batch, event, undefined)
  setImporting(tx, room.roomNid)
  return first.map(({ pdu }) => pdu.event_id)
}

function writeKeys(tx: Writer, { room }: Batch, count = Number.POSITIVE_INFINITY): void {
  for (const { id, key } of room.freshKeys.splice(0, count)) {
    const row = { state_key_nid: id, type: key.type, state_key: key.stateKey }
    putStateKey(tx, room.roomNid, row)
  }
}

/** Adds all of it to a unit whose first position in the stream is `first`. */
export function writeBatch(tx: Writer, batch: Batch, first: number): Written {
  const { room } = batch
  if (batch.isNewRoom) {
    addRoom(tx, { roomNid: room.roomNid, roomId: room.roomId, version: room.version.id })
    setImported(tx, room.roomNid)
  }
  writeKeys(tx, batch)
  const states = room.states.write(tx)
  let stream = first
  const late: Position[] = []
  writePartial(tx, batch)
  const replaced = batch.restated.map((event) => {
    const position = event.place === 'end' ? { stream: stream++, sub: 0 } : placeAfter(event)
    writeRestated(tx, batch, event, position)
    return { event, position }
  })
  const placed = batch.events.map((event) => {
    const position = event.place === 'end' ? { stream: stream++, sub: 0 } : placeOf(event)
    writeEvent(tx, batch, event, position)
    return { event, position }
  })
  for (const { eventId, pdu } of batch.lateRedactions) {
    const position = { stream: stream++, sub: 0 }
    placeEvent(tx, room.roomNid, eventId, position)
    writeRelation(tx, room, pdu, position)
    late.push(position)
  }
  writeSticky(tx, room, [...replaced, ...placed], () => stream++)
  // A change of state alone has a position, too.
  const last = Math.max(first, stream - 1)
  writeRest(tx, batch, last)
  for (const more of batch.alongside) more(tx, first, placed)
  if (batch.isBecomingWhole) setComplete(tx, room.roomNid, { joined: batch.joined, stream: last })
  return { placed, replaced, states, last, late }
}

function writePartial(tx: Writer, batch: Batch): void {
  const { roomNid, partial } = batch.room
  if (partial === undefined) return
  const { resident, servers, sinceTs, isNew } = partial
  if (batch.isBecomingPartial) {
    setPartial(tx, roomNid, {
      resident,
      servers: JSON.stringify([...servers]),
      since_ts: sinceTs,
      is_new: Number(isNew),
    })
  }
  for (const { place, eventId, origin, isLive } of batch.partialEvents) {
    addPartialEvent(tx, roomNid, {
      place,
      event_id: eventId,
      origin: stateOrigins.indexOf(origin),
      is_live: Number(isLive),
    })
  }
}

function writeRestated(
  tx: Writer,
  { room }: Batch,
  event: Restated,
  position: Position | undefined,
): void {
  const { roomNid } = room
  const { pdu, status, rule, currentState = null, stateBefore, stateAfter } = event
  const eventId = pdu.event_id
  restateEvent(tx, roomNid, {
    event_id: eventId,
    status: eventStatuses.indexOf(status),
    stream: position?.stream ?? null,
    sub: position?.sub ?? null,
    state_before: stateBefore,
    state_after: stateAfter,
  })
  if (rule !== undefined) putVerdict(tx, roomNid, eventId, { rule, current_state: currentState })
  else if (!event.keepsVerdict) removeVerdict(tx, roomNid, eventId)
  if (event.place === 'end' && position !== undefined) {
    writeRelation(tx, room, pdu, position)
    // It was looked through when it stood nowhere.
    indexTerms(tx, { roomNid, eventId }, room.events.cachedPdu(eventId) ?? pdu)
  }
  if (position !== undefined) writePlaced(tx, room, event, position)
  else if (event.position !== undefined) withdraw(tx, room, pdu, event.position)
}

/** Takes away what went with an event's place in the timeline. */
function withdraw(tx: Writer, { roomNid }: Room, pdu: Pdu, position: Position): void {
  const { event_id: eventId } = pdu
  removeGapsAt(tx, roomNid, position)
  const relation = relationOf(pdu.content)
  if (relation !== undefined) removeRelation(tx, roomNid, relation, eventId)
  removeTerms(tx, { roomNid, eventId, place: position }, pdu)
}

/** What goes with an event's place in the timeline. */
function writePlaced(
  tx: Writer,
  { roomId, roomNid }: Room,
  { pdu, missingParents, destinations }: NewEvent | Restated,
  position: Position,
): void {
  for (const missing of missingParents) addMissingParent(tx, roomNid, { ...position, missing })
  if (destinations.length === 0) return
  addToOutbox(tx, { stream: position.stream, roomId, eventId: pdu.event_id, destinations })
}

function writeEvent(
  tx: Writer,
  { room, nextEventNid }: Batch,
  event: NewEvent,
  position: Position | undefined,
): void {
  const { pdu, status, rule, currentState = null } = event
  const number = room.eventNumber(pdu.event_id)
  putEvent(tx, room.roomNid, {
    event_nid: nextEventNid(),
    event_id: pdu.event_id,
    status: eventStatuses.indexOf(status),
    stream: position?.stream ?? null,
    sub: position?.sub ?? null,
    depth: pdu.depth,
    state_before: event.stateBefore ?? null,
    state_after: event.stateAfter ?? null,
    number: number ?? null,
    state_key_nid:
      pdu.state_key === undefined ? null : (room.stateKeyId(pdu.type, pdu.state_key) ?? null),
    auth_numbers: number === undefined ? null : bytesOf(room.graph.authEvents(number)),
    membership: membershipCodeOf(pdu),
    origin_server_ts: pdu.origin_server_ts,
    bytes: pdu.bytes,
  })
  if (rule !== undefined) {
    putVerdict(tx, room.roomNid, pdu.event_id, { rule, current_state: currentState })
  }
  const isHere = event.stateAfter !== undefined
  if (isHere && room.missingParents.delete(pdu.event_id)) {
    if (status !== 'accepted') passOn(tx, room, event)
    parentIsHere(tx, room.roomNid, pdu.event_id)
  }
  if (position === undefined) return
  writeRelation(tx, room, pdu, position)
  // What came with a room's state was looked through when it stood nowhere. Messages wait their turn.
  if (pdu.state_key !== undefined && status === 'accepted') {
    indexTerms(tx, { roomNid: room.roomNid, eventId: pdu.event_id }, pdu)
  }
  writePlaced(tx, room, event, position)
}

/** How an event that takes its place in the timeline is related to another; not if it is redacted. */
function writeRelation(tx: Writer, room: Room, pdu: Pdu, place: Position): void {
  const { event_id: eventId, type, sender, origin_server_ts } = pdu
  const relation = relationOf((room.events.cachedPdu(eventId) ?? pdu).content)
  if (relation === undefined) return
  addRelation(tx, room.roomNid, relation, { eventId, type, sender, origin_server_ts, place })
}

/** What is missing before a refused event is missing before those that follow it. */
function passOn(tx: Writer, { roomNid }: Room, { pdu, missingParents }: NewEvent): void {
  for (const missing of missingParents) {
    passOnGaps(tx, roomNid, { refused: pdu.event_id, missing })
  }
}

function writeRest(tx: Writer, batch: Batch, last: number): void {
  const { room } = batch
  for (const { target, by, before } of batch.redactions) {
    const eventId = target.event_id
    const { roomNid } = room
    redactEvent(tx, roomNid, { eventId, redactedBy: by, bytes: target.bytes })
    const relation = relationOf(before.content)
    if (relation !== undefined) removeRelation(tx, roomNid, relation, eventId)
    removeTerms(tx, { roomNid, eventId }, before)
    // A redacted sticky event is the same as a normal event.
    if (stickyMsOf(before) !== undefined) deleteStickyEvent(tx, room.roomId, eventId)
  }
  for (const waiting of batch.waitingRedactions) awaitRedacted(tx, room.roomNid, waiting)
  for (const eventId of batch.noLongerAwaited) isRedactedNow(tx, room.roomNid, eventId)
  unstagePdus(tx, batch.unstaged)
  if (room.head === batch.before) return
  const { extremities, state } = room.head
  setRoomHead(tx, room.roomNid, { extremities, currentState: state })
  if (state !== batch.before.state) {
    putCurrentState(tx, room.roomNid, { stream: last, version: state })
  }
}

function placeAfter({ place, position }: Restated): Position | undefined {
  return place === 'kept' ? position : undefined
}

function placeOf({ place }: NewEvent): Position | undefined {
  return typeof place === 'string' ? undefined : place
}
