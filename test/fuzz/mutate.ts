/**
 * Makes inputs from others: flips, splices, words of the target, and changes to JSON that leave it JSON.
 *
 * @module
 */

import type { SeededRandom } from '../../src/io/simulated/simulated-random.ts'
import { inputBytesMax } from './target.ts'

/** What means something in many places. */
const commonWords: readonly string[] = [
  '__proto__',
  'constructor',
  'toString',
  '\\u0000',
  '\\ud800',
  '\u0000',
  '\u{1f600}',
  '\uff61',
  'ß',
  'İ',
  '\u2028',
  '-0',
  '1e400',
  '1.0',
  '9007199254740991',
  '9007199254740992',
  '-9007199254740992',
  '18446744073709551616',
  'null',
  'true',
  '{}',
  '[]',
  '""',
  '*',
  '?',
  '.',
  ':',
  '%00',
  '%',
  '\r\n',
  '\t',
  '..',
  '/',
  '\\',
  '"',
  "'",
  '[::1]:8448',
  '1.2.3.4',
  'a.example:65536',
  '@u:a.example',
  '!r:a.example',
  '$e:a.example',
]

const jsonValues: readonly unknown[] = [
  null,
  true,
  false,
  0,
  -1,
  1.5,
  2 ** 53,
  2 ** 53 - 1,
  -(2 ** 53),
  1e300,
  '',
  'x',
  '\0',
  '\ud800',
  '__proto__',
  [],
  {},
  [[]],
  { '': 0 },
  'x'.repeat(256),
]

export interface MutationSource {
  readonly random: SeededRandom
  readonly words: readonly string[]
  /** Another input, to be spliced with. */
  readonly other: () => Uint8Array
}

/** An input that differs from `input` in one or some ways. */
export function mutated(input: Uint8Array, source: MutationSource): Uint8Array {
  const { random } = source
  let bytes: Uint8Array = input
  const times = 1 + random.below(random.pick([1, 2, 4]))
  for (let n = 0; n < times; n++) {
    const changed = random.happens(0.5) ? mutatedJson(bytes, source) : undefined
    bytes = changed ?? random.pick(byteMutations)(bytes, source)
  }
  return bytes.length > inputBytesMax ? bytes.subarray(0, inputBytesMax) : bytes
}

type ByteMutation = (bytes: Uint8Array, source: MutationSource) => Uint8Array

function wordOf({ random, words }: MutationSource): string {
  return words.length > 0 && random.happens(0.6) ? random.pick(words) : random.pick(commonWords)
}

function replaced(
  bytes: Uint8Array,
  at: number,
  { remove, insert }: { remove: number; insert: Uint8Array },
): Uint8Array {
  return Buffer.concat([bytes.subarray(0, at), insert, bytes.subarray(at + remove)])
}

/** A piece of the bytes. */
function pieceOf(bytes: Uint8Array, random: SeededRandom): { at: number; length: number } {
  const at = random.below(bytes.length + 1)
  const longest = Math.min(bytes.length - at, random.pick([1, 4, 16, 256]))
  return { at, length: random.below(longest + 1) }
}

const byteMutations: readonly ByteMutation[] = [
  (bytes, { random }) => {
    if (bytes.length === 0) return random.bytes(1)
    const copy = Uint8Array.from(bytes)
    const at = random.below(copy.length)
    copy[at] = (copy[at] ?? 0) ^ (1 << random.below(8))
    return copy
  },
  (bytes, { random }) => {
    const { at } = pieceOf(bytes, random)
    return replaced(bytes, at, { remove: 1, insert: random.bytes(1) })
  },
  (bytes, { random }) => {
    const { at, length } = pieceOf(bytes, random)
    return replaced(bytes, at, { remove: length, insert: new Uint8Array() })
  },
  (bytes, source) => {
    const { at, length } = pieceOf(bytes, source.random)
    const insert = Buffer.from(wordOf(source))
    return replaced(bytes, at, { remove: source.random.happens(0.5) ? length : 0, insert })
  },
  (bytes, { random }) => {
    const { at, length } = pieceOf(bytes, random)
    const piece = bytes.subarray(at, at + length)
    const times = random.pick([1, 1, 2, 30])
    const insert = Buffer.concat(Array.from({ length: times }, () => piece))
    return replaced(bytes, pieceOf(bytes, random).at, { remove: 0, insert })
  },
  (bytes, { random, other }) => {
    const second = other()
    const { at, length } = pieceOf(second, random)
    const own = pieceOf(bytes, random)
    const insert = second.subarray(at, at + length)
    return replaced(bytes, own.at, { remove: own.length, insert })
  },
  (bytes, { random, other }) => {
    const second = other()
    return Buffer.concat([
      bytes.subarray(0, random.below(bytes.length + 1)),
      second.subarray(random.below(second.length + 1)),
    ])
  },
]

/**
 * The input with a change to the JSON that it holds, after a first line if it has one; `undefined` if
 * it holds none.
 */
function mutatedJson(bytes: Uint8Array, source: MutationSource): Uint8Array | undefined {
  const start = jsonStart(bytes)
  const value = start === -1 ? undefined : parsed(bytes.subarray(start))
  if (typeof value !== 'object' || value === null) return undefined
  const root = { value }
  const places = placesIn(root)
  const place = source.random.pick(places)
  changeAt(place, places, source)
  return Buffer.concat([bytes.subarray(0, start), Buffer.from(JSON.stringify(root.value) ?? '0')])
}

/** Where an object or an array begins, at the beginning of a line. */
function jsonStart(bytes: Uint8Array): number {
  for (let at = 0; at < Math.min(bytes.length, 64); at++) {
    const isLineStart = at === 0 || bytes[at - 1] === 0x0a
    if (isLineStart && (bytes[at] === 0x7b || bytes[at] === 0x5b)) return at
  }
  return -1
}

function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString())
  } catch {
    return undefined
  }
}

interface Place {
  readonly of: Record<string, unknown>
  readonly key: string
}

/** Every place of a value in the JSON, the whole included, as long as there are not too many. */
function placesIn(root: Record<string, unknown>): Place[] {
  const places: Place[] = []
  const open: Record<string, unknown>[] = [root]
  for (let of = open.pop(); of !== undefined && places.length < 2000; of = open.pop()) {
    for (const key of Object.keys(of)) {
      places.push({ of, key })
      const below = of[key]
      if (typeof below === 'object' && below !== null) open.push(below as Record<string, unknown>)
    }
  }
  return places
}

function changeAt({ of, key }: Place, places: readonly Place[], source: MutationSource): void {
  const { random } = source
  const other = random.pick(places)
  const value = of[key]
  switch (random.below(9)) {
    case 0:
      set(of, key, random.pick(jsonValues))
      break
    case 1:
      if (Array.isArray(of)) of.splice(Number(key), 1)
      else delete of[key]
      break
    case 2:
      set(of, key, structuredClone(other.of[other.key]))
      break
    case 3:
      set(of, Array.isArray(of) ? String(of.length) : wordOf(source), structuredClone(value))
      break
    case 4:
      set(of, key, wordOf(source))
      break
    case 5:
      set(of, key, typeof value === 'number' ? value + random.below(5) - 2 : [value])
      break
    case 6:
      set(
        of,
        key,
        typeof value === 'string' ? changedText(value, source) : { [wordOf(source)]: value },
      )
      break
    case 7:
      if (Array.isArray(value)) for (let n = random.below(40); n > 0; n--) value.push(value[0])
      else set(of, key, other.key)
      break
    default:
      if (Array.isArray(of)) of.reverse()
      else set(of, key, random.below(2 ** 31))
  }
}

function changedText(text: string, source: MutationSource): string {
  const { random } = source
  const at = random.below(text.length + 1)
  const length = random.below(3)
  const insert = random.happens(0.5) ? wordOf(source) : String.fromCharCode(random.below(256))
  return text.slice(0, at) + insert + text.slice(at + length)
}

function set(of: Record<string, unknown>, key: string, value: unknown): void {
  Object.defineProperty(of, key, { value, writable: true, enumerable: true, configurable: true })
}
