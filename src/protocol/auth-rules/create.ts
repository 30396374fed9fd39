/**
 * The rules for `m.room.create`, the first event of a room.
 *
 * https://spec.matrix.org/v1.19/rooms/v12/#authorisation-rules
 *
 * @module
 */

import { serverNameOf } from '../identifiers/common-format.ts'
import { serverNameOfRoomId } from '../identifiers/room-id.ts'
import { parseUserId } from '../identifiers/user-id.ts'
import type { Json } from '../json.ts'
import type { Pdu } from '../pdu.ts'
import { roomVersions } from '../room-version.ts'
import { ALLOW, reject, type Verdict } from './verdict.ts'

/** Checks a create event, which depends on no state. */
export function checkCreate(pdu: Pdu): Verdict {
  const { version, content } = pdu

  // If it has any `prev_events`, reject.
  if (pdu.prev_events.length > 0) return reject('the create event has prev_events')

  if (version.roomIdIsCreateEventId) {
    // If the event has a `room_id`, reject.
    if (Object.hasOwn(pdu.json, 'room_id')) return reject('the create event has a room_id')
  } else if (serverNameOfRoomId(pdu.room_id) !== serverNameOf(pdu.sender)) {
    // If the domain of the `room_id` does not match the domain of the `sender`, reject.
    return reject("the room ID is not of the creator's server")
  }

  // If `content.room_version` is present and is not a recognised version, reject.
  if (Object.hasOwn(content, 'room_version') && !isRoomVersion(content.room_version)) {
    return reject('the room version is not recognised')
  }

  // If `content` has no `creator` property, reject.
  if (!version.creatorIsSender && !Object.hasOwn(content, 'creator')) {
    return reject('the create event names no creator')
  }

  // If `additional_creators` is present in `content` and is not an array of strings where each string
  // passes the same user ID validation applied to `sender`, reject.
  if (version.privilegedCreators && Object.hasOwn(content, 'additional_creators')) {
    if (!areUserIds(content.additional_creators)) {
      return reject('the additional creators are not user IDs')
    }
  }
  return ALLOW
}

function isRoomVersion(value: Json | undefined): boolean {
  return typeof value === 'string' && roomVersions.has(value)
}

function areUserIds(value: Json | undefined): boolean {
  if (!Array.isArray(value)) return false
  return value.every((entry) => typeof entry === 'string' && parseUserId(entry) !== undefined)
}
