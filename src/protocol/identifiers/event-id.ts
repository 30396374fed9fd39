/**
 * Event IDs: `$opaque:server` in room versions 1 and 2, since then `$` and the event's reference hash,
 * in version 3 in standard Base64 and later in the URL-safe one.
 *
 * https://spec.matrix.org/v1.19/appendices/#event-ids
 *
 * @module
 */

import type { RoomVersion } from '../room-version.ts'
import { isCommonFormat, isOpaque } from './common-format.ts'
import type { EventId, ServerName } from './ids.ts'

/** A SHA-256 hash in unpadded Base64. */
const hashLength = 43

/**
 * The event ID that `text` may be in some room version. Only the sigil and the length are asked for:
 * what names an event that nobody can have is a reference to a missing event, and no more.
 */
export function parseEventId(text: string): EventId | undefined {
  const isEventId = text.length > 1 && text.startsWith('$') && isOpaque(text)
  return isEventId ? (text as EventId) : undefined
}

/** The event ID that `text` is in rooms of this version. */
export function parseEventIdIn(version: RoomVersion, text: string): EventId | undefined {
  const isEventId =
    version.eventId === 'in-event'
      ? isCommonFormat('$', text)
      : text.startsWith('$') && isHash(text.slice(1), version.eventId)
  return isEventId ? (text as EventId) : undefined
}

/** The server in an event ID of room versions 1 and 2. */
export function serverNameOfEventId(eventId: EventId): ServerName {
  return eventId.slice(eventId.indexOf(':') + 1) as ServerName
}

/** Whether `text` is the unpadded Base64 of 32 bytes, in that alphabet. */
export function isHash(text: string, alphabet: 'base64' | 'base64url'): boolean {
  if (text.length !== hashLength) return false
  const extra = alphabet === 'base64' ? '+/' : '-_'
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    const lower = code | 0x20
    const isLetterOrDigit = (lower >= 0x61 && lower <= 0x7a) || (code >= 0x30 && code <= 0x39)
    if (!isLetterOrDigit && !extra.includes(text.charAt(at))) return false
  }
  return true
}
