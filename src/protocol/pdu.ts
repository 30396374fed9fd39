/**
 * A persistent data unit: an event in the format in which servers exchange it.
 *
 * A `Pdu` exists only after its bytes passed the strict reader and the format of its room version,
 * so whoever holds one need not check its shape again. Its names are those on the wire.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#pdus
 *
 * @module
 */

import type { EventId, RoomId, UserId } from './identifiers/ids.ts'
import type { JsonObject } from './json.ts'
import type { RoomVersion } from './room-version.ts'

export interface Pdu {
  readonly version: RoomVersion
  /** The event's ID: read from the event in versions 1 and 2, computed since. */
  readonly event_id: EventId
  /** The room. In version 12 the create event has no such field: it is made from the event ID. */
  readonly room_id: RoomId
  readonly type: string
  /** Absent if the event is not a state event. */
  readonly state_key?: string
  readonly sender: UserId
  readonly depth: number
  readonly origin_server_ts: number
  /** The IDs alone, also in the versions that put hashes beside them. */
  readonly prev_events: readonly EventId[]
  readonly auth_events: readonly EventId[]
  readonly content: JsonObject
  /** The event to redact, wherever the version keeps it. */
  readonly redacts?: EventId
  /** The whole event as it is in `bytes`. */
  readonly json: JsonObject
  /**
   * The event's canonical JSON with signatures and hashes, without `unsigned`. In versions 1 to 5
   * numbers that JavaScript cannot keep are in it as they were received.
   */
  readonly bytes: Uint8Array
}
