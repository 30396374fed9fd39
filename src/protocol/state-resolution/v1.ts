/**
 * State resolution of room version 1. It is known to reset state; it is kept as it is because rooms of
 * that version exist, and all servers in one must come to the same state.
 *
 * https://spec.matrix.org/v1.19/rooms/v1/#state-resolution
 *
 * @module
 */

import { hash } from 'node:crypto'
import { checkAuthRules } from '../auth-rules/check.ts'
import type { TellDecision } from './decisions.ts'
import { authStateIn, type PartialState } from './partial-state.ts'
import type { ResolutionSteps } from './resolve.ts'
import type { RoomEvents } from './room-events.ts'
import type { Separation } from './state-pairs.ts'
import { eventsReadIn } from './v2.ts'

/** The conflicting events for one state key. */
interface Conflict {
  readonly key: number
  readonly type: string
  /** By ascending `depth` then descending `sha1(event_id)`. */
  readonly events: readonly number[]
}

/**
 * Decides the conflicts of some states. Yields the events it is about to read.
 *
 * Where the spec leaves it open, as all servers do: a key that some states do not have is no conflict
 * by itself; conflicts of one type do not see how the others of that type end, so that their order
 * does not matter; and where no event passes, the last one is taken.
 */
export function* resolveV1(
  room: RoomEvents,
  { unconflicted, conflicted }: Separation,
  tell?: TellDecision,
): ResolutionSteps<ReadonlyMap<number, number>> {
  // A conflict occurs between states where those states have different `event_ids` for the same
  // `(event_type, state_key)`.
  const candidates = candidatesOf(room, conflicted)
  // Start by setting R to the union of the states to be resolved, excluding any conflicting events.
  const decided = new Map<number, number>()
  const conflicting: number[] = []
  for (const [key, events] of candidates) {
    const [first] = events
    if (events.size > 1) conflicting.push(...events)
    else if (first !== undefined) decided.set(key, first)
  }
  yield conflicting
  const agreed = [...decided.values()]
  yield [...agreed, ...eventsReadIn(room, unconflicted, conflicting)]

  const partial: PartialState = { base: unconflicted, decided }
  const conflicts = conflictsOf(room, candidates)
  const isAllowed = trial(room, tell)
  // First we resolve conflicts between `m.room.power_levels` events. Repeat the above process for
  // conflicts between `m.room.join_rules` events. Repeat the above process for conflicts between
  // `m.room.member` events.
  for (const type of ['m.room.power_levels', 'm.room.join_rules', 'm.room.member']) {
    const ofType = conflicts.filter((conflict) => conflict.type === type)
    yield* decideAll(partial, ofType, (conflict) => lastInAllowedRun(partial, conflict, isAllowed))
  }
  const others = conflicts.filter(({ key }) => !decided.has(key))
  yield* decideAll(partial, others, (conflict) => firstAllowed(partial, conflict, isAllowed))
  return decided
}

/** The events for each key that is not the same in all states. What was rejected is none. */
function candidatesOf(
  room: RoomEvents,
  conflicted: Separation['conflicted'],
): Map<number, Set<number>> {
  const candidates = new Map<number, Set<number>>()
  for (const pairs of conflicted) {
    for (let at = 0; at < pairs.length; at += 2) {
      const key = pairs[at] as number
      const event = pairs[at + 1] as number
      if (room.isRejected(event)) continue
      candidates.set(key, (candidates.get(key) ?? new Set()).add(event))
    }
  }
  return candidates
}

function conflictsOf(room: RoomEvents, candidates: Map<number, Set<number>>): Conflict[] {
  const conflicts: Conflict[] = []
  for (const [key, numbers] of candidates) {
    if (numbers.size < 2) continue
    const entries = Array.from(numbers, (number) => {
      const pdu = room.event(number)
      return { number, pdu, sha1: hash('sha1', pdu.event_id, 'hex') }
    })
    entries.sort((a, b) => a.pdu.depth - b.pdu.depth || (a.sha1 < b.sha1 ? 1 : -1))
    const type = entries[0]?.pdu.type ?? ''
    conflicts.push({ key, type, events: entries.map(({ number }) => number) })
  }
  return conflicts
}

/** Decides conflicts one by one, and lets the decisions count once all of them are made. */
function* decideAll(
  { decided }: PartialState,
  conflicts: readonly Conflict[],
  decide: (conflict: Conflict) => number | undefined,
): ResolutionSteps<void> {
  const decisions: (readonly [key: number, event: number | undefined])[] = []
  for (const conflict of conflicts) {
    decisions.push([conflict.key, decide(conflict)])
    yield []
  }
  for (const [key, event] of decisions) if (event !== undefined) decided.set(key, event)
}

/**
 * Add the first event in the list to R. For each subsequent event in the list, check that the event
 * would be allowed by the authorisation rules for a room in state R. If the event would be allowed,
 * then update R with the event and continue with the next event in the list. If it would not be
 * allowed, stop.
 */
function lastInAllowedRun(
  partial: PartialState,
  { key, events }: Conflict,
  isAllowed: Trial,
): number | undefined {
  const { decided } = partial
  let [current] = events
  for (const event of events.slice(1)) {
    if (current !== undefined) decided.set(key, current)
    if (!isAllowed(event, partial)) break
    current = event
  }
  // It counts once all of its type are decided.
  decided.delete(key)
  return current
}

/**
 * No other events affect the authorisation rules, so for all other conflicts, just pick the event with
 * the highest depth and lowest `sha1(event_id)` that passes authentication in R and add it to R.
 */
function firstAllowed(
  partial: PartialState,
  { events }: Conflict,
  isAllowed: Trial,
): number | undefined {
  return events.findLast((event) => isAllowed(event, partial)) ?? events[0]
}

/** Whether the rules allow an event in a state. */
type Trial = (event: number, partial: PartialState) => boolean

function trial(room: RoomEvents, tell: TellDecision | undefined): Trial {
  return (event, partial) => {
    const verdict = checkAuthRules(room.event(event), authStateIn(room, partial))
    tell?.({ event, basis: { list: 'depth' }, verdict })
    return verdict.allowed
  }
}
