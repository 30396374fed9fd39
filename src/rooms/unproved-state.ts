/**
 * Events that are part of a room's state, as those say who gave it, and that could not be proved then: the
 * keys of a server that was away could not be had, or nobody gave what they lean on. The room was taken
 * without them, since many of them never can be proved. A server that comes back has people there,
 * though, and what they say stands on what is missing: by our state they are not in the room.
 *
 * So these events are remembered. Once one of them can be proved, it is part of the state before what
 * names it among its auth events, if that has nothing in its place: what has taken the place since is newer.
 * So is what is known to have taken it and cannot be proved either, as the ban of one of whom nobody could
 * prove that they were in the room. From there on the event is part of the room again.
 *
 * @module
 */

import type { EventId } from '#protocol/identifiers/ids.ts'
import type { Pdu } from '#protocol/pdu.ts'
import { eventAt } from '#protocol/state-resolution/state-pairs.ts'
import { addUnproved } from '#storage/unproved-state.ts'
import type { Batch } from './batch.ts'
import type { Room, StateKey } from './room.ts'

/** Events, and where in the state they stand, as far as that is known. */
export type Unproved = ReadonlyMap<EventId, StateKey | undefined>

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
  const fresh = [...events].filter(([eventId]) => !unproved.has(eventId))
  const noted = fresh.slice(0, Math.max(0, unprovedMax - unproved.size))
  if (noted.length === 0) return
  for (const [eventId, place] of noted) unproved.set(eventId, place)
  batch.alongside.push((tx) => {
    for (const [event_id, place] of noted) {
      const { type = null, stateKey: state_key = null } = place ?? {}
      addUnproved(tx, roomNid, { event_id, type, state_key })
    }
  })
}

/**
 * A version of the state with those of an event's auth events that could not be proved when the state was
 * taken, and can be now. They stand where the state has nothing.
 */
export async function withProved(room: Room, pdu: Pdu, version: number): Promise<number> {
  if (room.unproved.size === 0) return version
  let proved = version
  for (const eventId of pdu.auth_events) {
    const number = room.unproved.has(eventId) ? room.eventNumber(eventId) : undefined
    if (number === undefined || room.isRejected(number)) continue
    const key = room.stateKeyOf(number)
    const there = eventAt(await room.states.pairs(proved), key)
    if (there !== undefined || !isLast(room, number, room.stateKey(key))) continue
    proved = await room.states.withChange(proved, { key, event: number })
  }
  return proved
}

/** Whether an event leans on all else that is known to have stood in its place and could not be proved. */
function isLast(room: Room, number: number, { type, stateKey }: StateKey): boolean {
  for (const [eventId, place] of room.unproved) {
    if (place?.type !== type || place.stateKey !== stateKey) continue
    const other = room.eventNumber(eventId)
    if (other === undefined) return false
    const isBefore = other === number || room.graph.authEvents(number).includes(other)
    if (!isBefore && !room.isRejected(other)) return false
  }
  return true
}
