/**
 * One power level, as it is written in `m.room.power_levels`.
 *
 * Room versions 10 and later have integers only. Earlier ones take an integer in a string too, and
 * up to version 5, whose events need not be canonical JSON, also floats. Levels beyond 2^53 exist in
 * those; they are kept exactly, as a `bigint`, because JavaScript compares it rightly with numbers,
 * and with the `Infinity` that creators have since version 12.
 *
 * Each level has one form, so that `===` compares them.
 * What cannot be read is `NaN`, which is neither less than, nor equal to, nor greater than anything.
 * So the rules ask for what allows an event, `sender >= required`, and never for what forbids it: an
 * event that needs a level which cannot be read is rejected. The spec leaves this case open; the
 * other servers fail such an event as well.
 *
 * https://spec.matrix.org/v1.19/rooms/v1/#deprecated-event-content-schemas
 *
 * @module
 */

import type { Json } from '../json.ts'
import type { RoomVersion } from '../room-version.ts'

/** An integer, or `Infinity` for a creator, or `NaN` for what cannot be read. */
export type PowerLevel = number | bigint

/** Any number of whitespace characters, at most one sign, decimal digits, whitespace again. */
const integerInString = /^\p{White_Space}*([+-]?[0-9]+)\p{White_Space}*$/u
const integerLiteral = /^-?[0-9]+$/

/** The level that `value` is in rooms of this version; `NaN` if it is none. */
export function readPowerLevel(version: RoomVersion, value: Json | undefined): PowerLevel {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value
  if (version.integerPowerLevels) return Number.NaN
  if (typeof value === 'number') return readFloat(version, value)
  // Each of the integer-valued properties can be encoded as strings instead of integers. This
  // includes the nested values within the `events`, `notifications` and `users` properties.
  if (typeof value === 'string') return readInteger(integerInString.exec(value)?.[1])
  if (!JSON.isRawJSON(value)) return Number.NaN
  return integerLiteral.test(value.rawJSON)
    ? readInteger(value.rawJSON)
    : readFloat(version, Number(value.rawJSON))
}

/**
 * The value of decimal digits. The spec sets no limit for integers; the one for floats is taken, and
 * bounds the work.
 */
function readInteger(digits: string | undefined): PowerLevel {
  const value = Number(digits ?? Number.NaN)
  if (Number.isSafeInteger(value)) return value === 0 ? 0 : value
  return digits !== undefined && Number.isFinite(value) ? BigInt(digits) : Number.NaN
}

/**
 * First, exponential notation is applied. Second, the value is truncated at the decimal point. Values
 * outside the range represented by IEEE 754 binary64 cause the power level event to be rejected.
 */
function readFloat(version: RoomVersion, value: number): PowerLevel {
  if (version.strictCanonicalJson || !Number.isFinite(value)) return Number.NaN
  const truncated = Math.trunc(value)
  if (Number.isSafeInteger(truncated)) return truncated === 0 ? 0 : truncated
  return BigInt(truncated)
}
