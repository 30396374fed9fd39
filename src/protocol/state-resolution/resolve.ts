/**
 * State resolution: one room state out of several.
 *
 * This is the form for a server that holds a room's states as integers. It costs what differs between
 * the states, plus one pass over each. It is a generator that yields the numbers of the events which it
 * reads next, and goes on when they can be had from `room.event`:
 *
 *     const steps = resolveStates(room, states)
 *     let step = steps.next()
 *     while (!step.done) {
 *       await load(step.value)
 *       step = steps.next()
 *     }
 *     return step.value
 *
 * It yields at most two batches; the same events may be in both and in those of the next resolution.
 * Where there is much to decide it also yields nothing, again and again: there the thread may do
 * something else first. `room.graph` may grow in between; the states must stay as they are.
 *
 * Rejected events: whoever makes the states leaves out events that were rejected, as the state after
 * an event is not updated with it if it was. One that is in a state nevertheless is never decided for,
 * and gives nobody any right; but if all states have it, the resolved one has it too.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#room-state-resolution
 *
 * @module
 */

import type { TellDecision } from './decisions.ts'
import type { RoomEvents } from './room-events.ts'
import { type StatePairs, separate, withMissing } from './state-pairs.ts'
import { resolveV1 } from './v1.ts'
import { resolveV2 } from './v2.ts'

/**
 * Where a resolution may be interrupted: it yields the events that are to be loaded before it goes on,
 * or none.
 */
export type ResolutionSteps<Result> = Generator<readonly number[], Result, void>

/**
 * Resolves the states, by the algorithm of the room's version. `tell` hears of each decision about an
 * event.
 */
export function* resolveStates(
  room: RoomEvents,
  states: readonly StatePairs[],
  tell?: TellDecision,
): ResolutionSteps<StatePairs> {
  const distinct = [...new Set(states)]
  const [only = new Int32Array()] = distinct
  if (distinct.length < 2) return only
  const separation = separate(distinct)
  if (separation.conflicted.every((pairs) => pairs.length === 0)) return only
  const decided =
    room.version.stateResolution === 'v1'
      ? yield* resolveV1(room, separation, tell)
      : yield* resolveV2(room, separation, tell)
  // Update the result by replacing any event with the event with the same key from the unconflicted
  // state map, if such an event exists, to get the final resolved state.
  return withMissing(separation.unconflicted, decided)
}
