/**
 * How long the canonical form of a JSON text must be, without making it.
 *
 * This makes `JSON.parse` strict at little cost. Parse a text with it and encode the value: the only
 * thing that `JSON.parse` loses without a trace is the first of two equal keys, and then the encoding
 * is shorter than it must be. (Numbers are the other thing; what is not written as an integer of
 * canonical JSON has no length here, and integers out of range have no canonical form.)
 *
 * @module
 */

/**
 * The bytes of the canonical form of the JSON text that `bytes` is. `undefined` if only the strict
 * reader can tell. Of what is no JSON at all it says nothing.
 */
export function canonicalLengthOf(bytes: Uint8Array): number | undefined {
  let length = 0
  let isInString = false
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] as number
    if (isInString) {
      if (byte !== backslash) {
        length++
        if (byte === quote) isInString = false
        continue
      }
      const found = escapeAt(bytes, at)
      if (found === undefined) return undefined
      length += found.encoded
      at += found.read - 1
    } else if (byte > 0x20) {
      length++
      if (byte === quote) isInString = true
      else if (isUnusualNumber(bytes, at)) return undefined
    }
  }
  return length
}

const quote = 0x22
const backslash = 0x5c

/**
 * Whether the number that the byte at `at` is part of is written with a fraction or an exponent, or is
 * -0. Letters are part of words too, which hold an `e`, but after no digit.
 */
function isUnusualNumber(bytes: Uint8Array, at: number): boolean {
  switch (bytes[at]) {
    case 0x2e:
      return true
    case 0x2d:
      return bytes[at + 1] === 0x30
    case 0x45:
    case 0x65: {
      const before = bytes[at - 1] ?? 0
      return before >= 0x30 && before <= 0x39
    }
    default:
      return false
  }
}

interface Escape {
  /** How many bytes the escape is. */
  readonly read: number
  /** How many bytes it is in canonical JSON. */
  readonly encoded: number
}

const twoBytes: Escape = { read: 2, encoded: 2 }
const slash: Escape = { read: 2, encoded: 1 }

function escapeAt(bytes: Uint8Array, at: number): Escape | undefined {
  const letter = bytes[at + 1]
  if (letter === 0x2f) return slash
  if (letter !== 0x75) return twoBytes
  const unit = hexAt(bytes, at + 2)
  if (unit === undefined) return undefined
  if (unit < 0xd800 || unit > 0xdfff) return { read: 6, encoded: encodedLength(unit) }
  const isPair = unit < 0xdc00 && bytes[at + 6] === backslash && bytes[at + 7] === 0x75
  const low = isPair ? hexAt(bytes, at + 8) : undefined
  return low !== undefined && low >= 0xdc00 && low <= 0xdfff ? { read: 12, encoded: 4 } : undefined
}

/** How many bytes a code unit other than a surrogate is in canonical JSON. */
function encodedLength(unit: number): number {
  if (unit === quote || unit === backslash) return 2
  if (unit < 0x20) return '\b\t\n\f\r'.includes(String.fromCharCode(unit)) ? 2 : 6
  if (unit < 0x80) return 1
  return unit < 0x800 ? 2 : 3
}

function hexAt(bytes: Uint8Array, at: number): number | undefined {
  let value = 0
  for (let digit = at; digit < at + 4; digit++) {
    const byte = bytes[digit] ?? 0
    const lower = byte | 0x20
    if (byte >= 0x30 && byte <= 0x39) value = value * 16 + byte - 0x30
    else if (lower >= 0x61 && lower <= 0x66) value = value * 16 + lower - 0x57
    else return undefined
  }
  return value
}
