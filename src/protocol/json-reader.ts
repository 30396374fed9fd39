/**
 * A strict reader of JSON from others.
 *
 * `JSON.parse` takes what other servers read differently, and what two servers read differently
 * splits a room: of two equal keys it keeps the last, it rounds large integers, it passes halves of
 * surrogate pairs on, and it puts no limit to nesting. All of that is refused here. A key `__proto__`
 * is a key like any other.
 *
 * What is refused is dropped, never rejected: the same event may come again in clean bytes.
 *
 * https://spec.matrix.org/v1.19/appendices/#canonical-json
 *
 * @module
 */

import type { Json, JsonObject } from './json.ts'
import { nestingMax, numberLengthMax } from './limits.ts'

/**
 * Which numbers there may be:
 * - `canonical`: those of canonical JSON, which room versions 6 and later ask for;
 * - `raw`: all but such as overflow; what JavaScript cannot keep becomes a `RawNumber`;
 * - `any`: all but such as overflow, as JavaScript numbers: for bodies that are not signed.
 */
export type NumberRule = 'canonical' | 'raw' | 'any'

export type ReadJson =
  | { readonly ok: true; readonly value: Json }
  | { readonly ok: false; readonly reason: string }

/** Reads a JSON text of UTF-8. */
export function readJson(bytes: Uint8Array, numbers: NumberRule): ReadJson {
  const text = decodeUtf8(bytes)
  if (text === undefined) return { ok: false, reason: 'the text is not UTF-8' }
  const reader = new Reader(text, numbers)
  const value = reader.readText()
  return value === undefined
    ? { ok: false, reason: `${reader.problem} at ${reader.at}` }
    : { ok: true, value }
}

/** The text of UTF-8 bytes; `undefined` if they are not UTF-8. A byte order mark stays in the text. */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const text = buffer.toString('utf8')
  // What is no UTF-8 is decoded as the replacement character, which may also stand there rightly.
  if (!text.includes('\ufffd')) return text
  return Buffer.from(text).equals(buffer) ? text : undefined
}

/** One text being read. A function gives `undefined` when `problem` says what is wrong at `at`. */
class Reader {
  at = 0
  problem = 'unexpected end'
  readonly #text: string
  readonly #numbers: NumberRule

  constructor(text: string, numbers: NumberRule) {
    this.#text = text
    this.#numbers = numbers
  }

  readText(): Json | undefined {
    const value = this.#readValue(nestingMax)
    if (value === undefined) return undefined
    this.#skipSpace()
    return this.at === this.#text.length ? value : this.#fail('text after the value')
  }

  #readValue(levels: number): Json | undefined {
    this.#skipSpace()
    switch (this.#text.charCodeAt(this.at)) {
      case 0x7b:
        return levels === 0 ? this.#fail('nested too deeply') : this.#readObject(levels)
      case 0x5b:
        return levels === 0 ? this.#fail('nested too deeply') : this.#readArray(levels)
      case 0x22:
        return this.#readString()
      case 0x74:
        return this.#readWord('true', true)
      case 0x66:
        return this.#readWord('false', false)
      case 0x6e:
        return this.#readWord('null', null)
      default:
        return this.#readNumber()
    }
  }

  #readObject(levels: number): JsonObject | undefined {
    const object: Record<string, Json> = {}
    this.at++
    this.#skipSpace()
    if (this.#take(0x7d)) return object
    for (;;) {
      this.#skipSpace()
      const key = this.#readString()
      if (key === undefined) return undefined
      if (Object.hasOwn(object, key)) return this.#fail(`the key ${JSON.stringify(key)} is double`)
      this.#skipSpace()
      if (!this.#take(0x3a)) return this.#fail('a colon is missing')
      const value = this.#readValue(levels - 1)
      if (value === undefined) return undefined
      setOwn(object, key, value)
      this.#skipSpace()
      if (this.#take(0x7d)) return object
      if (!this.#take(0x2c)) return this.#fail('a comma or a brace is missing')
    }
  }

  #readArray(levels: number): Json[] | undefined {
    const array: Json[] = []
    this.at++
    this.#skipSpace()
    if (this.#take(0x5d)) return array
    for (;;) {
      const value = this.#readValue(levels - 1)
      if (value === undefined) return undefined
      array.push(value)
      this.#skipSpace()
      if (this.#take(0x5d)) return array
      if (!this.#take(0x2c)) return this.#fail('a comma or a bracket is missing')
    }
  }

  #readString(): string | undefined {
    if (this.#text.charCodeAt(this.at) !== 0x22) return this.#fail('a string is missing')
    const start = this.at
    let hasEscapes = false
    for (let at = start + 1; at < this.#text.length; at++) {
      const unit = this.#text.charCodeAt(at)
      if (unit === 0x22) return this.#endString(start, at, hasEscapes)
      if (unit < 0x20) return this.#fail('a control character in a string')
      if (unit === 0x5c) {
        hasEscapes = true
        at++
      }
    }
    return this.#fail('a string has no end')
  }

  /** The string from one quotation mark to the other. */
  #endString(start: number, end: number, hasEscapes: boolean): string | undefined {
    const raw = this.#text.slice(start + 1, end)
    const string = hasEscapes ? withoutEscapes(raw) : raw
    if (string === undefined) return this.#fail('an escape that is none')
    if (!string.isWellFormed()) return this.#fail('half a surrogate pair')
    this.at = end + 1
    return string
  }

  #readNumber(): Json | undefined {
    numberPattern.lastIndex = this.at
    const text = numberPattern.exec(this.#text)?.[0]
    if (text === undefined) return this.#fail('a value is missing')
    if (text.length > numberLengthMax) return this.#fail('a number of too many digits')
    const value = Number(text)
    if (!Number.isFinite(value)) return this.#fail('a number is too large')
    const isCanonical = Number.isSafeInteger(value) && text === `${value}`
    if (!isCanonical && this.#numbers === 'canonical') {
      return this.#fail(`${text.slice(0, 40)} is no integer of canonical JSON`)
    }
    this.at += text.length
    if (isCanonical || this.#numbers === 'any') return value
    // An integer, so zero: what reads it drops the sign.
    return text === '-0' ? 0 : JSON.rawJSON(text)
  }

  #readWord<Word extends boolean | null>(word: string, value: Word): Word | undefined {
    if (!this.#text.startsWith(word, this.at)) return this.#fail('a word that is none')
    this.at += word.length
    return value
  }

  #take(unit: number): boolean {
    if (this.#text.charCodeAt(this.at) !== unit) return false
    this.at++
    return true
  }

  #skipSpace(): void {
    for (;;) {
      const unit = this.#text.charCodeAt(this.at)
      if (unit !== 0x20 && unit !== 0x0a && unit !== 0x0d && unit !== 0x09) return
      this.at++
    }
  }

  #fail(problem: string): undefined {
    this.problem = problem
    return undefined
  }
}

/** Sets a member of its own, also if it is called `__proto__`. */
function setOwn(object: Record<string, Json>, key: string, value: Json): void {
  if (key !== '__proto__') object[key] = value
  else {
    const member = { value, writable: true, enumerable: true, configurable: true }
    Object.defineProperty(object, key, member)
  }
}

const numberPattern = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y

/** A string without its escapes; `undefined` if one is none. */
function withoutEscapes(raw: string): string | undefined {
  let text = ''
  let from = 0
  for (let at = raw.indexOf('\\'); at !== -1; at = raw.indexOf('\\', from)) {
    text += raw.slice(from, at)
    const letter = raw.charAt(at + 1)
    const plain = escapes.get(letter)
    if (plain !== undefined) {
      text += plain
      from = at + 2
      continue
    }
    const digits = raw.slice(at + 2, at + 6)
    if (letter !== 'u' || !/^[0-9a-fA-F]{4}$/.test(digits)) return undefined
    text += String.fromCharCode(Number.parseInt(digits, 16))
    from = at + 6
  }
  return text + raw.slice(from)
}

const escapes: ReadonlyMap<string, string> = new Map([
  ['"', '"'],
  ['\\', '\\'],
  ['/', '/'],
  ['b', '\b'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
])
