/**
 * The states of a room once more, from its create event on, by state resolution as plainly as the spec
 * puts it (`state-resolution-reference.ts`): what a server keeps from commit to commit, fetches from
 * others and takes from caches must be the same.
 *
 * @module
 */

import { authStateOf } from '../../src/protocol/auth-rules/auth-state.ts'
import { checkAuthRules } from '../../src/protocol/auth-rules/check.ts'
import type { EventId, RoomId } from '../../src/protocol/identifiers/ids.ts'
import type { Pdu } from '../../src/protocol/pdu.ts'
import type { StoredEvent } from '../../src/rooms/rooms.ts'
import {
  placeOf,
  referenceResolution,
  type StateMap,
  type Trial,
} from '../state-resolution-reference.ts'
import { heldIds } from './held-rooms.ts'
import { type KnownRoom, takenBack } from './resets.ts'
import { count, type Run, type SimulatedRoom } from './run.ts'
import type { SimulatedServer } from './simulated-server.ts'

/** Compares the states before all events whose whole history a server has. */
export async function sameAsRecomputed(
  run: Run,
  { roomId, version }: SimulatedRoom,
  server: SimulatedServer,
): Promise<void> {
  // Version 1 resolves by another algorithm.
  if (version === '1') return
  const events = await run.world.time.await(heldEvents(server, roomId as RoomId))
  for (const { pdu, status, isPlaced } of events.values()) {
    if (isPlaced || status === 'outlier' || status === 'rejected') continue
    run.problems.push(
      `version ${version}: at ${server.name} ${pdu.event_id} is ${status} without a place`,
    )
  }
  const known = recomputed(events)
  const problemWith = (eventId: EventId, what: string) =>
    run.problems.push(`version ${version}: at ${server.name} ${eventId} ${what}`)
  for (const { before, place, from, to, reason } of takenBack(known)) {
    count(run, `taken back: ${reason ?? `by nothing, ${resolutionOf(known.event(from))}`}`)
    if (reason !== undefined || version !== '12') continue
    problemWith(before, `resets ${place} from ${from} to ${to ?? 'nothing'}`)
  }
  for (const [eventId, state] of known.before) {
    const stored = events.get(eventId)
    if (stored === undefined) continue
    const problem = (what: string) => problemWith(eventId, what)
    const kept = await run.world.time.await(stateBefore(server, roomId as RoomId, eventId))
    count(run, 'states recomputed')
    const wrong = [...new Set([...state.keys(), ...kept.keys()])].filter(
      (place) => state.get(place) !== kept.get(place),
    )
    if (wrong.length > 0) problem(`has another state before it than its history: ${wrong}`)
    if (isRedactedRedaction(stored.pdu)) continue
    const held = [...state.values()].flatMap((id) => events.get(id)?.pdu ?? [])
    const verdict = checkAuthRules(stored.pdu, authStateOf(held))
    if (stored.status === 'accepted' && !verdict.allowed) problem(`is accepted: ${verdict.rule}`)
  }
}

/** It does not say any more what it redacted, by which versions 1 and 2 judge it. */
function isRedactedRedaction({ type, version, redacts }: Pdu): boolean {
  return type === 'm.room.redaction' && version.eventId === 'in-event' && redacts === undefined
}

async function heldEvents(
  server: SimulatedServer,
  roomId: RoomId,
): Promise<Map<EventId, StoredEvent>> {
  const { rooms } = server.running.server
  const stored = await rooms.events(roomId, await heldIds(server, roomId))
  return new Map(stored.map((one) => [one.pdu.event_id, one]))
}

async function stateBefore(
  server: SimulatedServer,
  roomId: RoomId,
  eventId: EventId,
): Promise<StateMap> {
  const state = await server.running.server.rooms.stateBefore(roomId, eventId)
  const ids = state?.ids() ?? []
  return new Map(ids.map((one) => [JSON.stringify([one.type, one.stateKey]), one.eventId]))
}

function resolutionOf({ version }: Pdu): string {
  return `state resolution ${version.stateResolution}`
}

/** The states before and after the events of which all that was before them is here. */
function recomputed(events: ReadonlyMap<EventId, StoredEvent>): KnownRoom {
  const event = (id: EventId) => {
    const stored = events.get(id)
    if (stored === undefined) throw new Error(`${id} is not here`)
    return stored.pdu
  }
  const isRejected = (id: EventId) => events.get(id)?.status === 'rejected'
  const before = new Map<EventId, StateMap>()
  const after = new Map<EventId, StateMap>()
  const trials = new Map<StateMap, Trial[]>()
  const placed = [...events.values()].filter(({ isPlaced }) => isPlaced)
  let size = -1
  while (size !== after.size) {
    size = after.size
    for (const { pdu } of placed) {
      const states = pdu.prev_events.map((id) => after.get(id))
      if (after.has(pdu.event_id) || states.includes(undefined)) continue
      const state = resolved(states as StateMap[])
      before.set(pdu.event_id, state)
      after.set(pdu.event_id, isRejected(pdu.event_id) ? state : withEvent(state, pdu.event_id))
    }
  }
  return { event, before, after, trials }

  function resolved(states: readonly StateMap[]): StateMap {
    const [first = new Map()] = states
    if (states.every((state) => state === first)) return first
    const tried: Trial[] = []
    const state = referenceResolution(states, event, isRejected, tried)
    trials.set(state, tried)
    return state
  }
  function withEvent(state: StateMap, id: EventId): StateMap {
    const pdu = event(id)
    return pdu.state_key === undefined ? state : new Map([...state, [placeOf(pdu), id]])
  }
}
