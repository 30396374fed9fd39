/**
 * What state resolution asks of a room.
 *
 * @module
 */

import type { Pdu } from '../pdu.ts'
import type { RoomVersion } from '../room-version.ts'
import type { AuthCover } from './auth-cover.ts'
import type { AuthGraph } from './auth-graph.ts'

export interface RoomEvents {
  readonly version: RoomVersion
  /** The auth events of all state events of the room. Event numbers are those of this graph. */
  readonly graph: AuthGraph
  /**
   * A cover of the graph, which the resolution moves to the states it resolves. Kept from one
   * resolution to the next it makes their auth difference cheap; it is never wrong, so it may be
   * thrown away at any time.
   */
  readonly cover: AuthCover
  /** The number of the create event. */
  readonly create: number
  /** An event by its number. Called only for numbers that the resolution has yielded before. */
  event(number: number): Pdu
  /** Whether an event was rejected, when it arrived or by the state before it. */
  isRejected(number: number): boolean
  /** The ID of a state key; `undefined` if no event of the room's states and auth graph has it. */
  stateKeyId(type: string, stateKey: string): number | undefined
}

/** The ID of the key at which an event stands. It is known, as the event is one of the room's state. */
export function stateKeyIdOf(room: RoomEvents, pdu: Pdu): number | undefined {
  return pdu.state_key === undefined ? undefined : room.stateKeyId(pdu.type, pdu.state_key)
}
