/**
 * User IDs, `@localpart:server`.
 *
 * Two grammars: what we accept from others, whose localpart is nearly anything and may be empty, and
 * what we give to accounts of our own.
 *
 * https://spec.matrix.org/v1.19/appendices/#user-identifiers
 *
 * @module
 */

import { isCommonFormat, localpartOf } from './common-format.ts'
import type { ServerName, UserId } from './ids.ts'

/**
 * The user ID that `text` is, if it is one, historical ones included.
 *
 * Clients and servers MUST accept user IDs with localparts consisting of any legal non-surrogate
 * Unicode code points except for `:` and `NUL` (U+0000), including other control characters and the
 * empty string.
 */
export function parseUserId(text: string): UserId | undefined {
  return isCommonFormat('@', text) ? (text as UserId) : undefined
}

/** The ID of a user of `serverName`, if `localpart` is one that an account may be given. */
export function userIdFor(localpart: string, serverName: ServerName): UserId | undefined {
  return isLocalpart(localpart) ? parseUserId(`@${localpart}:${serverName}`) : undefined
}

/**
 * Whether an account may be given this localpart. It MUST NOT be empty, and MUST contain only the
 * characters `a-z`, `0-9`, `.`, `_`, `=`, `-`, `/`, and `+`.
 */
export function isLocalpart(localpart: string): boolean {
  if (localpart === '') return false
  for (let at = 0; at < localpart.length; at++) {
    const code = localpart.charCodeAt(at)
    const isLetterOrDigit = (code >= 0x61 && code <= 0x7a) || (code >= 0x30 && code <= 0x39)
    if (!isLetterOrDigit && !'._=-/+'.includes(localpart.charAt(at))) return false
  }
  return true
}

/**
 * Whether a user ID may be shown outside the context of an event. User IDs with localparts containing
 * characters outside the range U+0021 to U+007E, or with an empty localpart, are considered
 * non-compliant; servers SHOULD NOT forward them to clients when referenced outside the context of an
 * event.
 */
export function isCompliantUserId(userId: UserId): boolean {
  const localpart = localpartOf(userId)
  if (localpart === '') return false
  for (let at = 0; at < localpart.length; at++) {
    const code = localpart.charCodeAt(at)
    if (code < 0x21 || code > 0x7e) return false
  }
  return true
}
