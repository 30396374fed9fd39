/**
 * The ID of an event: a field of it in room versions 1 and 2, then its reference hash.
 *
 * https://spec.matrix.org/v1.19/rooms/v4/#event-ids
 *
 * @module
 */

import assert from 'node:assert/strict'
import { referenceHash, sha256 } from './hashes.ts'
import type { EventId } from './identifiers/ids.ts'
import type { JsonObject } from './json.ts'
import type { RoomVersion } from './room-version.ts'

/** The ID of an event that has the format of its room version. */
export function eventIdOf(version: RoomVersion, event: JsonObject): EventId {
  if (version.eventId === 'in-event') return eventIdWithin(event)
  return `$${referenceHash(version, event, version.eventId)}`
}

/** The same, where the text that is hashed is at hand. */
export function eventIdOfEssentials(
  version: RoomVersion,
  event: JsonObject,
  essentials: string,
): EventId {
  if (version.eventId === 'in-event') return eventIdWithin(event)
  return `$${sha256(essentials, version.eventId)}`
}

function eventIdWithin(event: JsonObject): EventId {
  const { event_id } = event
  assert.ok(typeof event_id === 'string', 'the event has no event_id')
  return event_id as EventId
}
