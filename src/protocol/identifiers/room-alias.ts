/**
 * Room aliases, `#localpart:server`.
 *
 * https://spec.matrix.org/v1.19/appendices/#room-aliases
 *
 * @module
 */

import { isCommonFormat } from './common-format.ts'
import type { RoomAlias } from './ids.ts'

/**
 * The room alias that `text` is, if it is one. The localpart may contain any valid non-surrogate
 * Unicode codepoints except `:` and `NUL`.
 */
export function parseRoomAlias(text: string): RoomAlias | undefined {
  return isCommonFormat('#', text) ? (text as RoomAlias) : undefined
}
