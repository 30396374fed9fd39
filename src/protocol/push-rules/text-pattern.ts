/**
 * Glob-style patterns as push rules use them: without regard to case, on a whole value or on a part of
 * it that starts and ends at word boundaries.
 *
 * Patterns and texts come from people who may mean harm. So the pieces between the stars are looked
 * for one after the other, each where it comes first, by the Shift-And method: a bit for each character
 * of the piece says whether the text up to here ends with that much of it. The time is that of the
 * text's length, whatever the two are, times the pattern's in units of 32.
 *
 * https://spec.matrix.org/v1.19/appendices/#glob-style-matching
 *
 * @module
 */

/** A text as what patterns are matched on: its code points, in lower case. */
export type Characters = Uint32Array

interface Piece {
  readonly length: number
  /** For each character the bits of the places at which the piece has it, or takes any. */
  readonly masks: ReadonlyMap<number, Uint32Array>
  /** The bits of the places that take any character. */
  readonly any: Uint32Array
}

export function charactersOf(text: string): Characters {
  const lower = text.toLowerCase()
  const characters = new Uint32Array(lower.length)
  let length = 0
  for (let at = 0; at < lower.length; at++) {
    const point = lower.codePointAt(at) ?? 0
    if (point > 0xffff) at++
    characters[length++] = point
  }
  return characters.subarray(0, length)
}

/** How much work it is to match a pattern: what it costs for each character of the text. */
export function costOf(pattern: string): number {
  return 1 + (pattern.length >> 5)
}

const questionMark = 0x3f

function pieceOf(text: string): Piece {
  const characters = charactersOf(text)
  const words = Math.max(1, Math.ceil(characters.length / 32))
  const any = new Uint32Array(words)
  const masks = new Map<number, Uint32Array>()
  for (const character of characters) {
    if (character !== questionMark)
      masks.getOrInsertComputed(character, () => new Uint32Array(words))
  }
  for (const [place, character] of characters.entries()) {
    const bit = 1 << (place & 31)
    const sets = character === questionMark ? [any, ...masks.values()] : [masks.get(character)]
    for (const set of sets) if (set !== undefined) (set[place >> 5] as number) |= bit
  }
  return { length: characters.length, masks, any }
}

/** Whether all of the text matches. */
export function matchesWhole(pattern: string, text: Characters): boolean {
  return matches(pattern, text, {
    mayStart: (at) => at === 0,
    mayEnd: (at) => at === text.length,
  })
}

/**
 * Whether any substring matches which starts and ends at a word boundary. A word boundary is defined
 * as the start or end of the value, or any character not in the sets `[A-Z]`, `[a-z]`, `[0-9]` or `_`.
 */
export function matchesWords(pattern: string, text: Characters): boolean {
  const isBoundary = (at: number) =>
    at === 0 || at === text.length || !isWordAt(text, at - 1) || !isWordAt(text, at)
  return matches(pattern, text, { mayStart: isBoundary, mayEnd: isBoundary })
}

/** The text is in lower case. */
function isWordAt(text: Characters, at: number): boolean {
  const character = text[at] as number
  const isLetter = character >= 0x61 && character <= 0x7a
  return isLetter || (character >= 0x30 && character <= 0x39) || character === 0x5f
}

interface Ends {
  mayStart(at: number): boolean
  mayEnd(at: number): boolean
}

const anywhere = () => true

function matches(pattern: string, text: Characters, ends: Ends): boolean {
  const pieces = pattern.split('*')
  let at = 0
  for (const [index, piece] of pieces.entries()) {
    const isFirst = index === 0
    const isLast = index === pieces.length - 1
    const mayStart = isFirst ? ends.mayStart : anywhere
    const mayEnd = isLast ? ends.mayEnd : anywhere
    if (piece === '') {
      // Before the first star, and after the last, nothing is asked of the text.
      if (isFirst && isLast) return ends.mayEnd(0)
      continue
    }
    const end = endOf(pieceOf(piece), text, at, { mayStart, mayEnd })
    if (end === undefined) return false
    at = end
  }
  return true
}

/** Where the first occurrence ends that begins at `from` or later. */
function endOf(piece: Piece, text: Characters, from: number, ends: Ends): number | undefined {
  const { length, masks, any } = piece
  const found = new Uint32Array(any.length)
  const lastWord = (length - 1) >> 5
  const lastBit = 1 << ((length - 1) & 31)
  for (let at = from; at < text.length; at++) {
    const mask = masks.get(text[at] as number) ?? any
    let carry = ends.mayStart(at) ? 1 : 0
    for (let word = 0; word < found.length; word++) {
      const bits = found[word] as number
      found[word] = ((bits << 1) | carry) & (mask[word] as number)
      carry = bits >>> 31
    }
    if (((found[lastWord] as number) & lastBit) !== 0 && ends.mayEnd(at + 1)) return at + 1
  }
  return undefined
}
