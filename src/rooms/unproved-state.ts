/**
 * Events that are part of a room's state, as those say who gave it, and that could not be proved then: the
 * keys of a server that was away could not be had, or nobody gave what they lean on. The room was taken
 * without them, since many of them never can be proved. A server that comes back has people there,
 * though, and what they say stands on what is missing: by our state they are not in the room.
 *
 * So these events are remembered. Once one of them can be proved, it is part of the state before what
 * names it among its auth events, if that has nothing in its place: what has taken the place since is newer.
 * So is what is known to have taken it and cannot be proved either, as the ban of one of whom nobody could
 * prove that they were in the room; and what could not be proved of a state that was told later may have
 * taken it. From there on the event is part of the room again.
 *
 * @module
 */

import type { EventId } from '#protocol/identifiers/ids.ts'
import type { Pdu } from '#protocol/pdu.ts'
import { eventAt } from '#protocol/state-resolution/state-pairs.ts'
import { putUnproved } from '#storage/unproved-state.ts'
import type { Batch } from './batch.ts'
import type { Room, StateKey } from './room.ts'

/** Events, and where in the state they stand, as far as that is known. */
export type Unproved = ReadonlyMap<EventId, StateKey | undefined>

export interface Remembered {
  /** Larger for those of a state that was told later. */
  readonly told: number
  /** Where in the state it stands, if that is known. */
  readonly place: StateKey | undefined
}

/** How many of a room are remembered: a tenth of the state of the largest rooms. */
const unprovedMax = 10_000

/** Where in the state an event stands. */
export function placeOf(pdu: Pick<Pdu, 'type' | 'state_key'> | undefined): StateKey | undefined {
  if (pdu?.state_key === undefined) return undefined
  return { type: pdu.type, stateKey: pdu.state_key }
}

/** Remembers events of a state that is taken without them. */
export function noteUnproved(batch: Batch, events: Unproved): void {
  const { unproved, roomNid } = batch.room
  if (events.size === 0) return
  const told = Math.max(0, ...unproved.values().map((one) => one.told)) + 1
  const noted: EventId[] = []
  for (const [eventId, place] of events) {
    if (!unproved.has(eventId) && unproved.size >= unprovedMax) continue
    unproved.set(eventId, { told, place: place ?? unproved.get(eventId)?.place })
    noted.push(eventId)
  }
  batch.alongside.push((tx) => {
    for (const event_id of noted) {
      const { type = null, stateKey: state_key = null } = unproved.get(event_id)?.place ?? {}
      putUnproved(tx, roomNid, { event_id, told, type, state_key })
    }
  })
}

/**
 * A version of the state with those of an event's auth events that could not be proved when the state was
 * taken, and can be now. They stand where the state has nothing.
 */
export async function withProved(room: Room, pdu: Pdu, version: number): Promise<number> {
  const { size } = room.unproved
  // Beyond the limit nobody knows what else was lacking.
  if (size === 0 || size >= unprovedMax) return version
  let proved = version
  for (const eventId of pdu.auth_events) {
    const number = room.unproved.has(eventId) ? room.eventNumber(eventId) : undefined
    if (number === undefined || room.isRejected(number)) continue
    const key = room.stateKeyOf(number)
    const there = eventAt(await room.states.pairs(proved), key)
    if (there !== undefined || !isLast(room, eventId, number)) continue
    proved = await room.states.withChange(proved, { key, event: number })
  }
  return proved
}

/** Whether nothing that could not be proved either is known, or may be, to have taken the event's place. */
function isLast(room: Room, eventId: EventId, number: number): boolean {
  const { told = 0 } = room.unproved.get(eventId) ?? {}
  const { type, stateKey } = room.stateKey(room.stateKeyOf(number))
  for (const [otherId, other] of room.unproved) {
    const otherNumber = room.eventNumber(otherId)
    const place =
      otherNumber === undefined ? other.place : room.stateKey(room.stateKeyOf(otherNumber))
    if (place === undefined && other.told > told) return false
    if (place?.type !== type || place.stateKey !== stateKey || otherNumber === number) continue
    if (otherNumber === undefined) return false
    const isBefore = room.graph.authEvents(number).includes(otherNumber)
    if (!isBefore && !room.isRejected(otherNumber)) return false
  }
  return true
}
