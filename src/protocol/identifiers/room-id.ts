/**
 * Room IDs: `!opaque:server` until room version 11, since then the create event's ID with another
 * sigil and without a server.
 *
 * https://spec.matrix.org/v1.19/appendices/#room-ids
 *
 * @module
 */

import type { RoomVersion } from '../room-version.ts'
import { isCommonFormat } from './common-format.ts'
import { isHash } from './event-id.ts'
import type { EventId, RoomId, ServerName } from './ids.ts'

/** The room ID that `text` is in some room version. */
export function parseRoomId(text: string): RoomId | undefined {
  const isRoomId = isCommonFormat('!', text) || isHashRoomId(text)
  return isRoomId ? (text as RoomId) : undefined
}

/** The room ID that `text` is in rooms of this version. */
export function parseRoomIdIn(version: RoomVersion, text: string): RoomId | undefined {
  const isRoomId = version.roomIdIsCreateEventId ? isHashRoomId(text) : isCommonFormat('!', text)
  return isRoomId ? (text as RoomId) : undefined
}

/** The ID of the room that this create event makes, where the version derives one from the other. */
export function roomIdOfCreateEvent(createEventId: EventId): RoomId {
  return `!${createEventId.slice(1)}`
}

/** The ID of the create event of a room, where the version derives one from the other. */
export function createEventIdOfRoom(roomId: RoomId): EventId {
  return `$${roomId.slice(1)}`
}

/**
 * The server named in a room ID, if it names one. It made the room; nothing says that it is still in
 * it.
 */
export function serverNameOfRoomId(roomId: RoomId): ServerName | undefined {
  const colon = roomId.indexOf(':')
  return colon === -1 ? undefined : (roomId.slice(colon + 1) as ServerName)
}

function isHashRoomId(text: string): boolean {
  return text.startsWith('!') && isHash(text.slice(1), 'base64url')
}
