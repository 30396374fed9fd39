/**
 * The state that an event is checked against, as far as the auth rules read it.
 *
 * The rules read nothing but the entries that `authStateKeys` names for the event, and the create
 * event: whoever holds a state as IDs can load those few beforehand and answer from memory.
 *
 * Invariant, kept by whoever makes one: no event in it was rejected, and all are of one room.
 *
 * @module
 */

import type { Pdu } from '../pdu.ts'

export interface AuthState {
  /** The state event of this type and state key, if there is one. */
  get(type: string, stateKey: string): Pdu | undefined
}

/** The state that consists of these events. Of two with the same type and state key, the later one. */
export function authStateOf(events: Iterable<Pdu>): AuthState {
  const byType = new Map<string, Map<string, Pdu>>()
  for (const pdu of events) {
    if (pdu.state_key === undefined) continue
    const ofType = byType.get(pdu.type)
    if (ofType === undefined) byType.set(pdu.type, new Map([[pdu.state_key, pdu]]))
    else ofType.set(pdu.state_key, pdu)
  }
  return { get: (type, stateKey) => byType.get(type)?.get(stateKey) }
}
