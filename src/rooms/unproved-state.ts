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
import type { Room } from './room.ts'
import type { StateKey } from './state-key.ts'
import type { UnprovedEvent } from './unproved-events.ts'

/** Events, and where in the state they stand, as far as that is known. */
export type Unproved = ReadonlyMap<EventId, StateKey | undefined>

/** How many of a room are remembered: a tenth of the state of the largest rooms. */
const unprovedMax = 10_000

/** Remembers events of a state that is taken without them. */
export function noteUnproved(batch: Batch, events: Unproved): void {
  const { unproved, roomNid } = batch.room
  if (events.size === 0) return
  const told = unproved.lastTold + 1
  const noted: UnprovedEvent[] = []
  for (const [eventId, key] of events) {
    if (unproved.get(eventId) === undefined && unproved.size >= unprovedMax) continue
    noted.push(unproved.add(eventId, told, key))
  }
  batch.alongside.push((tx) => {
    for (const { eventId: event_id, key } of noted) {
      const { type = null, stateKey: state_key = null } = key ?? {}
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
    const one = room.unproved.get(eventId)
    const number = room.eventNumber(eventId)
    if (one === undefined || number === undefined || room.isRejected(number)) continue
    const key = room.stateKeyOf(number)
    const there = eventAt(await room.states.pairs(proved), key)
    if (there !== undefined || !isLast(room, one, number)) continue
    proved = await room.states.withChange(proved, { key, event: number })
  }
  return proved
}

/** Whether nothing that could not be proved either is known, or may be, to have taken the event's place. */
function isLast(room: Room, { told }: UnprovedEvent, number: number): boolean {
  if (room.unproved.lastKeylessTold > told) return false
  for (const otherId of room.unproved.at(room.stateKey(room.stateKeyOf(number)))) {
    const other = room.eventNumber(otherId)
    if (other === undefined) return false
    const isBefore = room.graph.authEvents(number).includes(other)
    if (other !== number && !isBefore && !room.isRejected(other)) return false
  }
  return true
}
