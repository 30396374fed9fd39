/**
 * Where the parts of a JSON text are: the members of an object, the elements of an array. So PDUs are
 * cut out of a transaction or an answer as the bytes they are, and each is read by itself: one that
 * is malformed is one event less, not one transaction less.
 *
 * The scanner knows strings, escapes and nesting, and nothing else. It does not say that a part is
 * JSON; it says that if the whole is JSON, then this part is what a parser takes for the value. What
 * cannot be taken apart without doubt (a bracket that closes another, text between two values) has
 * no spans at all.
 *
 * @module
 */

import { readJson } from './json-reader.ts'

/**
 * The parts of an object of any size, found in slices: its members, and the elements of those of its
 * members that are lists of many.
 */
export interface ScannedObject {
  readonly members: ReadonlyMap<string, Span>
  /** By key, for the keys in `lists` whose values are arrays. */
  readonly elements: ReadonlyMap<string, readonly Span[]>
}

/** Bytes from `start` up to, not including, `end`. */
export interface Span {
  readonly start: number
  readonly end: number
}

/**
 * The values of the members of the object that `bytes` is, by key; `undefined` if it is no object, or
 * has a key twice.
 */
export function memberSpans(
  bytes: Uint8Array,
  within: Span = wholeOf(bytes),
): ReadonlyMap<string, Span> | undefined {
  const scan = new Scan(bytes, within, Number.POSITIVE_INFINITY)
  const scanned = finish(scanMembers(scan, bytes, noLists, {}))
  return scan.isDone() ? scanned?.members : undefined
}

/** The elements of the array that `bytes` is; `undefined` if it is no array. */
export function elementSpans(
  bytes: Uint8Array,
  within: Span = wholeOf(bytes),
): readonly Span[] | undefined {
  const scan = new Scan(bytes, within, Number.POSITIVE_INFINITY)
  if (!scan.take(0x5b)) return undefined
  const elements = finish(scanElements(scan, {}))
  return scan.isDone() ? elements : undefined
}

/** The elements of an array, each as its bytes (not copied); `undefined` if it is no array. */
export function elementsOf(bytes: Uint8Array, within?: Span): Uint8Array[] | undefined {
  return elementSpans(bytes, within)?.map((span) => bytes.subarray(span.start, span.end))
}

/**
 * The same as `memberSpans`, and as `elementSpans` of the members called as `lists` says, in one pass
 * that pauses after each `sliceBytes`: an answer to a join may have a hundred million bytes, and the
 * thread has other work. Gives `undefined` also if one part alone would take too long.
 */
export function* scanObject(
  bytes: Uint8Array,
  lists: ReadonlySet<string>,
  limits: ScanLimits = {},
): Generator<void, ScannedObject | undefined> {
  const scan = new Scan(bytes, wholeOf(bytes), partBytesMax)
  const scanned = yield* scanMembers(scan, bytes, lists, limits)
  return scan.isDone() ? scanned : undefined
}

/** The same for an object that is the second of two elements of an array: `[200, {…}]`. */
export function* scanSecondOfTwo(
  bytes: Uint8Array,
  lists: ReadonlySet<string>,
  limits: ScanLimits = {},
): Generator<void, ScannedObject | undefined> {
  const scan = new Scan(bytes, wholeOf(bytes), partBytesMax)
  if (!scan.take(0x5b) || scan.value() === undefined || !scan.take(0x2c)) return undefined
  const scanned = yield* scanMembers(scan, bytes, lists, limits)
  return scan.take(0x5d) && scan.isDone() ? scanned : undefined
}

export interface ScanLimits {
  /** After how many bytes of a list there is a pause. */
  readonly sliceBytes?: number
  /** How many elements of a list are told; what comes after them is only scanned. All, if not said. */
  readonly elementsMax?: number
}

/** So many bytes are scanned in some milliseconds. */
const sliceBytesDefault = 1_048_576

/** The largest part that `scanObject` passes over without a pause. */
const partBytesMax = 8_388_608

const noLists: ReadonlySet<string> = new Set()

function* scanMembers(
  scan: Scan,
  bytes: Uint8Array,
  lists: ReadonlySet<string>,
  limits: ScanLimits,
): Generator<void, ScannedObject | undefined> {
  const members = new Map<string, Span>()
  const elements = new Map<string, readonly Span[]>()
  if (!scan.take(0x7b)) return undefined
  if (scan.take(0x7d)) return { members, elements }
  do {
    const key = readKey(bytes, scan.string())
    if (key === undefined || members.has(key) || !scan.take(0x3a)) return undefined
    const start = scan.startOfValue()
    if (lists.has(key) && scan.take(0x5b)) {
      const list = yield* scanElements(scan, limits)
      if (list === undefined) return undefined
      elements.set(key, list)
      members.set(key, { start, end: scan.at })
    } else {
      const value = scan.value()
      if (value === undefined) return undefined
      members.set(key, value)
    }
  } while (scan.take(0x2c))
  return scan.take(0x7d) ? { members, elements } : undefined
}

/** The elements of an array whose first bracket was taken. */
function* scanElements(
  scan: Scan,
  { sliceBytes = sliceBytesDefault, elementsMax = Number.POSITIVE_INFINITY }: ScanLimits,
): Generator<void, Span[] | undefined> {
  const elements: Span[] = []
  if (scan.take(0x5d)) return elements
  let pauseAt = scan.at + sliceBytes
  do {
    const element = scan.value()
    if (element === undefined) return undefined
    if (elements.length < elementsMax) elements.push(element)
    if (element.end < pauseAt) continue
    pauseAt = element.end + sliceBytes
    yield
  } while (scan.take(0x2c))
  return scan.take(0x5d) ? elements : undefined
}

/** Runs a scan to its end without a pause. */
function finish<Result>(scan: Generator<void, Result>): Result {
  for (;;) {
    const step = scan.next()
    if (step.done) return step.value
  }
}

function wholeOf(bytes: Uint8Array): Span {
  return { start: 0, end: bytes.length }
}

function readKey(bytes: Uint8Array, span: Span | undefined): string | undefined {
  if (span === undefined) return undefined
  const key = readJson(bytes.subarray(span.start, span.end), 'any')
  return key.ok && typeof key.value === 'string' ? key.value : undefined
}

/** How deep a part may be nested: far more than the strict reader takes, and bounded. */
const spanNestingMax = 4096

/** The brackets that are open in the value being scanned; scans pause between values only. */
const openBrackets = new Uint8Array(spanNestingMax)

/** A place in the bytes, moved over one token at a time. */
class Scan {
  /** The next byte. */
  at: number
  readonly #end: number
  readonly #bytes: Uint8Array
  readonly #valueBytesMax: number

  constructor(bytes: Uint8Array, within: Span, valueBytesMax: number) {
    this.#bytes = bytes
    this.at = within.start
    this.#end = within.end
    this.#valueBytesMax = valueBytesMax
  }

  /** Takes one byte, after white space. */
  take(byte: number): boolean {
    this.#skipSpace()
    if (this.at >= this.#end || this.#bytes[this.at] !== byte) return false
    this.at++
    return true
  }

  /** Whether nothing but white space is left. */
  isDone(): boolean {
    this.#skipSpace()
    return this.at >= this.#end
  }

  /** Where the next value starts. */
  startOfValue(): number {
    this.#skipSpace()
    return this.at
  }

  /** Takes a string, with its quotation marks. */
  string(): Span | undefined {
    this.#skipSpace()
    const start = this.at
    if (start >= this.#end || this.#bytes[start] !== 0x22) return undefined
    const end = this.#endOfString(start)
    if (end === 0) return undefined
    this.at = end
    return { start, end }
  }

  /** Takes a value of any kind. */
  value(): Span | undefined {
    this.#skipSpace()
    const start = this.at
    if (start >= this.#end) return undefined
    const first = this.#bytes[start]
    if (first === 0x22) return this.string()
    const end = first === 0x7b || first === 0x5b ? this.#endOfNested(start) : this.#endOfWord(start)
    if (end === 0) return undefined
    this.at = end
    return { start, end }
  }

  /** Where the string that starts at `start` ends; 0 if it does not. */
  #endOfString(start: number): number {
    const bytes = this.#bytes
    const end = Math.min(this.#end, start + this.#valueBytesMax)
    for (let at = start + 1; at < end; at++) {
      const byte = bytes[at]
      if (byte === 0x22) return at + 1
      if (byte === 0x5c) at++
    }
    return 0
  }

  /** Where the object or array that starts at `start` ends; 0 if its brackets do not match. */
  #endOfNested(start: number): number {
    const bytes = this.#bytes
    const end = Math.min(this.#end, start + this.#valueBytesMax)
    let depth = 0
    for (let at = start; at < end; at++) {
      const byte = bytes[at] as number
      if (byte === 0x22) {
        at = this.#endOfString(at) - 1
        if (at < 0) return 0
      } else if (byte === 0x7b || byte === 0x5b) {
        if (depth === spanNestingMax) return 0
        openBrackets[depth++] = byte
      } else if (byte === 0x7d || byte === 0x5d) {
        // In ASCII a bracket that closes comes two after the one it closes.
        if (openBrackets[--depth] !== byte - 2) return 0
        if (depth === 0) return at + 1
      }
    }
    return 0
  }

  /** Where the number or the word that starts at `start` ends; 0 if there is none. */
  #endOfWord(start: number): number {
    const end = Math.min(this.#end, start + this.#valueBytesMax)
    let at = start
    while (at < end && isWordByte(this.#bytes[at] as number)) at++
    return at === start ? 0 : at
  }

  #skipSpace(): void {
    while (this.at < this.#end && isSpace(this.#bytes[this.at] as number)) this.at++
  }
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09
}

/** The bytes of numbers, `true`, `false` and `null`. */
function isWordByte(byte: number): boolean {
  const lower = byte | 0x20
  if ((lower >= 0x61 && lower <= 0x7a) || (byte >= 0x30 && byte <= 0x39)) return true
  return byte === 0x2b || byte === 0x2d || byte === 0x2e
}
