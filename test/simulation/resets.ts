/**
 * Finds where resolving state took something back, and says why.
 *
 * Where branches meet, a place in the state may get an older value than one of the branches had, one
 * that this branch had replaced, or none at all. Mostly that is as it should be: what had replaced it is
 * not allowed any more by what the other branch brought. Where no reason is found, the state was reset:
 * all servers agree, and all of them are wrong.
 *
 * State resolution 2 is known for that (https://spec.matrix.org/v1.19/rooms/v12/#state-resolution); of 2.1, in
 * version 12 of rooms, it is a fault.
 *
 * @module
 */

import { authStateOf } from '../../src/protocol/auth-rules/auth-state.ts'
import { checkAuthRules } from '../../src/protocol/auth-rules/check.ts'
import type { EventId } from '../../src/protocol/identifiers/ids.ts'
import type { Pdu } from '../../src/protocol/pdu.ts'
import { isPowerEvent, placeOf, type StateMap, type Trial } from '../state-resolution-reference.ts'

/** Why a value was taken back. */
export type Reason =
  /** The auth rules do not allow it after what other branches brought. */
  | 'refused'
  /** It is allowed, and what it had replaced was tried later: so state resolution orders them. */
  | 'tried earlier'

export interface TakenBack {
  /** Before this event the branches met. */
  readonly before: EventId
  readonly place: string
  readonly from: EventId
  /** Nothing, if the place is empty now. */
  readonly to: EventId | undefined
  /** None for a reset. */
  readonly reason: Reason | undefined
}

export interface KnownRoom {
  readonly event: (id: EventId) => Pdu
  /** The states before and after each event whose history is known. */
  readonly before: ReadonlyMap<EventId, StateMap>
  readonly after: ReadonlyMap<EventId, StateMap>
  /** How a state before an event was resolved. */
  readonly trials: ReadonlyMap<StateMap, readonly Trial[]>
}

export function takenBack(room: KnownRoom): TakenBack[] {
  const found: TakenBack[] = []
  for (const [id, resolved] of room.before) {
    const branches = new Set(
      room.event(id).prev_events.flatMap((prev) => room.after.get(prev) ?? []),
    )
    if (branches.size < 2) continue
    for (const [place, from] of new Set([...branches].flatMap((state) => [...state]))) {
      const to = resolved.get(place)
      if (to === from || (to !== undefined && !isBefore(room, to, from))) continue
      if (found.some((one) => one.place === place && one.from === from && one.to === to)) continue
      found.push({ before: id, place, from, to, reason: reasonFor(room, resolved, from, to) })
    }
  }
  return found
}

function reasonFor(
  room: KnownRoom,
  resolved: StateMap,
  from: EventId,
  to: EventId | undefined,
): Reason | undefined {
  const trials = room.trials.get(resolved) ?? []
  const at = trials.findIndex(({ eventId }) => eventId === from)
  const trial = trials[at]
  if (trial === undefined) return undefined
  if (trial.allowed) {
    return trials.slice(at).some(({ eventId }) => eventId === to) ? 'tried earlier' : undefined
  }
  const state = authStateOf(besides(room, trial))
  return checkAuthRules(room.event(from), state).allowed ? undefined : 'refused'
}

/**
 * The state in which an event was tried, without what came after it, but for what takes power away: that may
 * take the event back from whom it hits, even if they did no wrong before. Else, it counts what was
 * before the event.
 */
function besides(room: KnownRoom, { eventId, state }: Trial): Pdu[] {
  const own = room.before.get(eventId)
  const counted = new Map(
    room.event(eventId).auth_events.map((id) => [placeOf(room.event(id)), id]),
  )
  for (const [place, value] of state) {
    const isLater = value !== eventId && isBefore(room, eventId, value)
    const id = isLater && !isPowerEvent(room.event(value)) ? own?.get(place) : value
    if (id !== undefined) counted.set(place, id)
  }
  return [...create(state, own), ...[...counted.values()].map(room.event)]

  /** Since version 12 no event names it. */
  function create(...states: (StateMap | undefined)[]): Pdu[] {
    const place = JSON.stringify(['m.room.create', ''])
    const id = states.map((one) => one?.get(place)).find((found) => found !== undefined)
    return id === undefined ? [] : [room.event(id)]
  }
}

/** Whether an event is in the history of another. */
function isBefore({ event, before }: KnownRoom, earlier: EventId, later: EventId): boolean {
  const history = new Set([later])
  // A set gives what is added to it while it is iterated over, too.
  for (const id of history) {
    if (id === earlier) return true
    if (before.has(id)) for (const prev of event(id).prev_events) history.add(prev)
  }
  return false
}
