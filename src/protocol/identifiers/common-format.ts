/**
 * The form that user IDs, room aliases, and the older room and event IDs share:
 * a sigil, a localpart, a colon, a server name.
 *
 * The localpart holds no colon, so the first colon ends it: what follows may hold more (`[::1]:8448`).
 *
 * https://spec.matrix.org/v1.19/appendices/#common-identifier-format
 *
 * @module
 */

import { idBytesMax } from '../limits.ts'
import type { RoomAlias, ServerName, UserId } from './ids.ts'
import { parseServerName } from './server-name.ts'

/** Whether `text` is `sigil localpart : server name`, in at most 255 bytes. */
export function isCommonFormat(sigil: string, text: string): boolean {
  if (!text.startsWith(sigil) || !isOpaque(text)) return false
  const colon = text.indexOf(':')
  return colon !== -1 && parseServerName(text.slice(colon + 1)) !== undefined
}

/**
 * Whether `text` can be an identifier at all: at most 255 bytes of non-surrogate code points
 * without NUL.
 */
export function isOpaque(text: string): boolean {
  return !exceedsBytes(text, idBytesMax) && !text.includes('\0') && text.isWellFormed()
}

/** Whether `text` is more than `bytesMax` bytes of UTF-8. */
export function exceedsBytes(text: string, bytesMax: number): boolean {
  // A UTF-16 code unit is one to three bytes: most texts need not be measured.
  if (text.length > bytesMax) return true
  return text.length * 3 > bytesMax && Buffer.byteLength(text) > bytesMax
}

/** The server name in an identifier that has one: what is after its first colon. */
export function serverNameOf(id: UserId | RoomAlias): ServerName {
  return id.slice(id.indexOf(':') + 1) as ServerName
}

/** What is between the sigil and the first colon. */
export function localpartOf(id: UserId | RoomAlias): string {
  return id.slice(1, id.indexOf(':'))
}
