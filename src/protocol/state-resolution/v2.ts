/**
 * State resolution 2.0, of room versions 2 to 11, and 2.1, of room version 12, which starts from
 * nothing instead of from what the states agree on, and takes in what lies between conflicted events.
 *
 * https://spec.matrix.org/v1.19/rooms/v12/#state-resolution
 *
 * @module
 */

import { authStateKeys } from '../auth-rules/auth-events.ts'
import type { Verdict } from '../auth-rules/verdict.ts'
import type { Pdu } from '../pdu.ts'
import { authDifference } from './auth-difference.ts'
import { conflictedSubgraph } from './conflicted-subgraph.ts'
import type { TellDecision } from './decisions.ts'
import { iterativeAuthChecks } from './iterative-auth-checks.ts'
import { mainlineOrdering } from './mainline-ordering.ts'
import { numberAt, type PartialState } from './partial-state.ts'
import { levelOfSender, reverseTopologicalPowerOrdering } from './power-ordering.ts'
import type { ResolutionSteps } from './resolve.ts'
import type { RoomEvents } from './room-events.ts'
import { eventAt, type Separation, type StatePairs } from './state-pairs.ts'

/**
 * Decides the conflicts of some states; what is decided for keys of the unconflicted state map counts
 * for nothing in the end. Yields the events it is about to read.
 */
export function* resolveV2(
  room: RoomEvents,
  separation: Separation,
  tell?: TellDecision,
): ResolutionSteps<ReadonlyMap<number, number>> {
  const startsEmpty = room.version.stateResolution === 'v2.1'
  const conflicted = fullConflictedSet(room, separation, { withSubgraph: startsEmpty })
  yield withAuthEvents(room, conflicted)
  const base = startsEmpty ? new Int32Array() : separation.unconflicted
  if (!startsEmpty) yield eventsReadIn(room, base, conflicted)

  // Select the set X of all power events that appear in the full conflicted set. For each such power
  // event P, enlarge X by adding the events in the auth chain of P which also belong to the full
  // conflicted set. Sort X into a list using the reverse topological power ordering.
  yield []
  const x = powerEventsAndChains(room, conflicted)
  const powerOrdering = reverseTopologicalPowerOrdering(room, x)

  // Apply the iterative auth checks algorithm, starting from the unconflicted state map (2.1: from an
  // empty state map), to the list of events from the previous step to get a partially resolved state.
  const partial: PartialState = { base, decided: new Map() }
  yield* iterativeAuthChecks(room, partial, powerOrdering, tell && tellByPower(room, tell))

  // Take all remaining events that weren't picked in step 1 and order them by the mainline ordering
  // based on the power level in the partially resolved state obtained in step 2.
  const powerLevels = numberAt(partial, room.stateKeyId('m.room.power_levels', ''))
  const remaining = [...conflicted].filter((event) => !x.has(event))
  const ordering = mainlineOrdering(room, remaining, powerLevels)
  yield []

  // Apply the iterative auth checks algorithm on the partial resolved state and the list of events
  // from the previous step.
  const events = ordering.map(({ event }) => event)
  yield* iterativeAuthChecks(room, partial, events, tell && tellInMainline(ordering, tell))
  return partial.decided
}

function tellByPower(
  room: RoomEvents,
  tell: TellDecision,
): (event: number, verdict: Verdict) => void {
  return (event, verdict) => {
    tell({ event, verdict, basis: { list: 'power', senderLevel: levelOfSender(room, event) } })
  }
}

function tellInMainline(
  ordering: readonly { readonly event: number; readonly position: number }[],
  tell: TellDecision,
): (event: number, verdict: Verdict) => void {
  const positions = new Map(ordering.map(({ event, position }) => [event, position]))
  return (event, verdict) => {
    const mainlinePosition = positions.get(event) ?? Number.POSITIVE_INFINITY
    tell({ event, verdict, basis: { list: 'mainline', mainlinePosition } })
  }
}

/**
 * The full conflicted set is the union of the conflicted state set and the auth difference; in 2.1
 * also of the conflicted state subgraph.
 */
function fullConflictedSet(
  room: RoomEvents,
  separation: Separation,
  { withSubgraph }: { withSubgraph: boolean },
): ReadonlySet<number> {
  const conflicted = new Set<number>()
  for (const pairs of separation.conflicted) {
    for (let at = 1; at < pairs.length; at += 2) conflicted.add(pairs[at] as number)
  }
  const subgraph = withSubgraph ? conflictedSubgraph(room.graph, conflicted) : []
  for (const event of authDifference(room.graph, room.cover, separation)) conflicted.add(event)
  for (const event of subgraph) conflicted.add(event)
  return conflicted
}

/** The events, their auth events, and the create event: what is read but for the base state. */
function withAuthEvents(room: RoomEvents, events: ReadonlySet<number>): number[] {
  const all = new Set(events).add(room.create)
  for (const event of events) {
    for (const authEvent of room.graph.authEvents(event)) all.add(authEvent)
  }
  return [...all]
}

/** The events of a state that the auth rules may read to check these events. */
export function eventsReadIn(
  room: RoomEvents,
  state: StatePairs,
  events: Iterable<number>,
): number[] {
  const read = new Set<number>()
  for (const event of events) {
    for (const [type, stateKey] of authStateKeys(room.event(event))) {
      const key = room.stateKeyId(type, stateKey)
      const found = key === undefined ? undefined : eventAt(state, key)
      if (found !== undefined) read.add(found)
    }
  }
  return [...read]
}

/**
 * The power events of a full conflicted set, and what of their auth chains belongs to it.
 *
 * SPEC: the chains are followed only as far as they stay in the set. In 2.1 that is all of what
 * belongs to it, because the subgraph has what lies between. In 2.0 a chain may leave the set and come
 * back into it; Synapse and ruma do not follow it there either, and their agreement is what rooms of
 * those versions live on.
 */
function powerEventsAndChains(room: RoomEvents, conflicted: ReadonlySet<number>): Set<number> {
  const picked = new Set<number>()
  for (const event of conflicted) if (isPowerEvent(room.event(event))) picked.add(event)
  // A set gives what is added to it while it is iterated over, too.
  for (const event of picked) {
    for (const authEvent of room.graph.authEvents(event)) {
      if (conflicted.has(authEvent)) picked.add(authEvent)
    }
  }
  return picked
}

/**
 * A power event is a state event with type `m.room.power_levels` or `m.room.join_rules`, or a state
 * event with type `m.room.member` where the `membership` is `leave` or `ban` and the `sender` does not
 * match the `state_key`.
 *
 * SPEC: the first two are meant with the empty state key that their schemas ask for; with another one
 * they have no power, and Synapse and ruma do not count them.
 */
export function isPowerEvent({ type, state_key: stateKey, sender, content }: Pdu): boolean {
  if (type === 'm.room.power_levels' || type === 'm.room.join_rules') return stateKey === ''
  if (type !== 'm.room.member') return false
  const { membership } = content
  return (membership === 'leave' || membership === 'ban') && sender !== stateKey
}
