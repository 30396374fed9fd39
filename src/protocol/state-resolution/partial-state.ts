/**
 * The state while it is being resolved: what has been decided so far, over what was agreed before.
 *
 * @module
 */

import type { AuthState } from '../auth-rules/auth-state.ts'
import type { Pdu } from '../pdu.ts'
import type { RoomEvents } from './room-events.ts'
import { eventAt, type StatePairs } from './state-pairs.ts'

export interface PartialState {
  /** What the resolution starts from. */
  readonly base: StatePairs
  /** Decisions, by the ID of the state key. They come before the base. */
  readonly decided: Map<number, number>
}

/** The number of the event at a key, by its ID. */
export function numberAt(
  { base, decided }: PartialState,
  key: number | undefined,
): number | undefined {
  return key === undefined ? undefined : (decided.get(key) ?? eventAt(base, key))
}

/**
 * The partial state as the auth rules read it, at any time. What it does not have, `otherwise` may. A
 * rejected event, which the base may have from elsewhere, gives nobody any right.
 */
export function authStateIn(
  room: RoomEvents,
  partial: PartialState,
  otherwise: (type: string, stateKey: string) => Pdu | undefined = () => undefined,
): AuthState {
  // Every event is checked against the same few keys that are not of a user.
  const known = new Map<string, number | undefined>()
  const keyOf = (type: string, stateKey: string): number | undefined => {
    if (stateKey !== '') return room.stateKeyId(type, stateKey)
    if (!known.has(type)) known.set(type, room.stateKeyId(type, ''))
    return known.get(type)
  }
  return {
    get(type, stateKey) {
      const number = numberAt(partial, keyOf(type, stateKey))
      const isThere = number !== undefined && !room.isRejected(number)
      return isThere ? room.event(number) : otherwise(type, stateKey)
    },
  }
}
