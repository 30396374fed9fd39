/**
 * The iterative auth checks: which of some events, one after the other, get into the state.
 *
 * https://spec.matrix.org/v1.19/rooms/v2/#definitions
 *
 * @module
 */

import { checkAuthRules } from '../auth-rules/check.ts'
import { reject, type Verdict } from '../auth-rules/verdict.ts'
import type { Pdu } from '../pdu.ts'
import { authStateIn, type PartialState } from './partial-state.ts'
import type { ResolutionSteps } from './resolve.ts'
import { type RoomEvents, stateKeyIdOf } from './room-events.ts'

/** How many events are checked in one go: about a millisecond's worth. */
const checksPerStep = 64

/**
 * Takes as input an initial room state and a sorted list of state events, and constructs a new room
 * state by iterating through the event list and applying the state event to the room state if the
 * state event is allowed by the authorisation rules. If the state event is not allowed by the
 * authorisation rules, then the event is ignored.
 *
 * SPEC: an event that was rejected because of the state before it is to be handled as usual. Synapse
 * ignores it here, so that what was rejected stays rejected; if Hansa did not, the two would come to
 * different states whenever somebody sends such an event as part of a state.
 *
 * `tell` hears of each event.
 */
export function* iterativeAuthChecks(
  room: RoomEvents,
  partial: PartialState,
  events: Iterable<number>,
  tell?: (event: number, verdict: Verdict) => void,
): ResolutionSteps<void> {
  let event = -1
  let checked = 0
  const state = authStateIn(room, partial, (type, stateKey) =>
    ownAuthEvent(room, event, { type, stateKey }),
  )
  for (event of events) {
    checked += 1
    if (checked % checksPerStep === 0) yield []
    if (room.isRejected(event)) {
      tell?.(event, wasRejected)
      continue
    }
    const pdu = room.event(event)
    const key = stateKeyIdOf(room, pdu)
    if (key === undefined) continue
    const verdict = checkAuthRules(pdu, state)
    if (verdict.allowed) partial.decided.set(key, event)
    tell?.(event, verdict)
  }
}

const wasRejected = reject('the event was rejected when it arrived')

/**
 * If a `(event_type, state_key)` key that is required for checking the authorisation rules is not
 * present in the state, then the appropriate state event from the event's `auth_events` is used if
 * the auth event is not rejected.
 *
 * The create event of a version 12 room is in no `auth_events`: the room ID takes their place.
 */
function ownAuthEvent(
  room: RoomEvents,
  event: number,
  { type, stateKey }: { type: string; stateKey: string },
): Pdu | undefined {
  for (const authEvent of room.graph.authEvents(event)) {
    const pdu = room.event(authEvent)
    if (pdu.type !== type || pdu.state_key !== stateKey) continue
    if (!room.isRejected(authEvent)) return pdu
  }
  const isImplied = room.version.roomIdIsCreateEventId && type === 'm.room.create'
  return isImplied && stateKey === '' ? room.event(room.create) : undefined
}
