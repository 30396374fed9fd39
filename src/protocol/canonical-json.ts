/**
 * Canonical JSON: the one encoding that servers sign and hash.
 *
 * The shortest UTF-8 encoding, with keys sorted by code point and numbers that are integers in the
 * range -(2^53)+1 to (2^53)-1. JavaScript sorts strings by UTF-16 code unit, which puts U+1F600
 * before U+FF61; here it comes after, as in UTF-8.
 *
 * Numbers of room versions 1 to 5 that JavaScript cannot keep are `RawNumber`s, which are written as
 * they were read.
 *
 * https://spec.matrix.org/v1.19/appendices/#canonical-json
 *
 * @module
 */

import assert from 'node:assert/strict'
import type { Json, JsonObject } from './json.ts'
import { nestingMax } from './limits.ts'

/** One member of an object, encoded: `text` is `"key":value`. */
export interface CanonicalMember {
  readonly key: string
  readonly text: string
}

/** The canonical JSON of a value of our own. It is a mistake of ours if it has none. */
export function canonicalJson(value: Json): string {
  const text = tryCanonicalJson(value)
  assert.ok(text !== undefined, 'the value has no canonical JSON')
  return text
}

/** The same as UTF-8. */
export function canonicalJsonBytes(value: Json): Uint8Array {
  return Buffer.from(canonicalJson(value))
}

/**
 * The canonical JSON of a value that somebody else made; `undefined` if it has none, because a number
 * is no integer in range, a string holds half a surrogate pair, or it is nested too deeply.
 */
export function tryCanonicalJson(value: Json): string | undefined {
  return encode(value, nestingMax)
}

/** The members of an object, each encoded and in order; `undefined` if it has no canonical JSON. */
export function canonicalMembers(object: JsonObject): CanonicalMember[] | undefined {
  const members: CanonicalMember[] = []
  for (const key of sortedKeys(object)) {
    const value = encode(object[key] as Json, nestingMax - 1)
    const quoted = quoteKey(key)
    if (value === undefined || quoted === undefined) return undefined
    members.push({ key, text: `${quoted}:${value}` })
  }
  return members
}

/** The object that has these members. */
export function joinMembers(members: readonly CanonicalMember[]): string {
  let text = '{'
  for (const member of members) text += text.length === 1 ? member.text : `,${member.text}`
  return `${text}}`
}

/** The members of an object and one more, whose key is of ASCII letters, as all are in an event. */
export function withMember(
  members: readonly CanonicalMember[],
  key: string,
  value: Json,
): CanonicalMember[] {
  const after = members.findIndex((member) => member.key > key)
  const member = { key, text: `"${key}":${canonicalJson(value)}` }
  return members.toSpliced(after === -1 ? members.length : after, 0, member)
}

/**
 * The same members as parts of the text that joins them. The encoder's strings are ropes of many
 * small pieces, which cost more to put together than to hash; parts of a flat text cost nothing.
 */
export function membersWithin(
  joined: string,
  members: readonly CanonicalMember[],
): CanonicalMember[] {
  let start = 1
  return members.map(({ key, text }) => {
    const end = start + text.length
    const member = { key, text: joined.slice(start, end) }
    start = end + 1
    return member
  })
}

/** Compares by code point, which is the order of the UTF-8 bytes. */
export function compareCodePoints(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let at = 0; at < length; at++) {
    const x = a.charCodeAt(at)
    const y = b.charCodeAt(at)
    if (x !== y) return sortPlace(x) - sortPlace(y)
  }
  return a.length - b.length
}

/** Where a UTF-16 code unit sorts: surrogates, which are code points above U+FFFF, after all others. */
function sortPlace(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit
}

/** `levels` is how many levels of arrays and objects there may be. */
function encode(value: Json, levels: number): string | undefined {
  switch (typeof value) {
    case 'string':
      return quote(value)
    case 'number':
      // Zero is written so that -0 becomes 0.
      return Number.isSafeInteger(value) ? `${value === 0 ? 0 : value}` : undefined
    case 'boolean':
      return value ? 'true' : 'false'
    case 'object':
      if (value === null) return 'null'
      if (Array.isArray(value)) return encodeArray(value, levels)
      return JSON.isRawJSON(value) ? value.rawJSON : encodeObject(value as JsonObject, levels)
    default:
      return undefined
  }
}

function encodeArray(array: readonly Json[], levels: number): string | undefined {
  if (levels === 0) return undefined
  let text = '['
  for (let at = 0; at < array.length; at++) {
    const element = encode(array[at] as Json, levels - 1)
    if (element === undefined) return undefined
    text += at === 0 ? element : `,${element}`
  }
  return `${text}]`
}

function encodeObject(object: JsonObject, levels: number): string | undefined {
  if (levels === 0) return undefined
  let text = ''
  for (const key of sortedKeys(object)) {
    const value = encode(object[key] as Json, levels - 1)
    const quoted = quoteKey(key)
    if (value === undefined || quoted === undefined) return undefined
    text += text === '' ? `{${quoted}:${value}` : `,${quoted}:${value}`
  }
  return text === '' ? '{}' : `${text}}`
}

/**
 * The keys of an object by code point. Where no key has a code unit from U+D800 on, that is the order
 * of JavaScript's own comparison, which is quicker.
 */
function sortedKeys(object: JsonObject): string[] {
  const keys = Object.keys(object)
  let ordered = true
  for (let at = 0; at < keys.length; at++) {
    const key = keys[at] as string
    if (!quotedKeys.has(key) && highUnit.test(key)) return keys.sort(compareCodePoints)
    if (at > 0 && key < (keys[at - 1] as string)) ordered = false
  }
  return ordered ? keys : keys.sort()
}

/** Keys repeat from event to event, so the quoted ones are kept: only such as need no care in sorting. */
const quotedKeys = new Map<string, string>()
const quotedKeysMax = 4096
const highUnit = /[\ud800-\uffff]/

function quoteKey(key: string): string | undefined {
  const known = quotedKeys.get(key)
  if (known !== undefined) return known
  const quoted = quote(key)
  if (quoted === undefined || key.length > shortLength || highUnit.test(key)) return quoted
  if (quotedKeys.size >= quotedKeysMax) quotedKeys.clear()
  quotedKeys.set(key, quoted)
  return quoted
}

/**
 * A string in quotes; `undefined` if it holds half a surrogate pair.
 *
 * `JSON.stringify` escapes exactly what the grammar escapes, in the same way: the quotation mark, the
 * reverse solidus and the control characters, by letter or in lower case digits. Most short strings
 * hold nothing of the kind, which is quicker to see than to call it.
 */
function quote(text: string): string | undefined {
  if (text.length <= shortLength && isPlain(text)) return `"${text}"`
  return text.isWellFormed() ? JSON.stringify(text) : undefined
}

const shortLength = 64

/** Whether `text` is of printable ASCII characters that JSON does not escape. */
function isPlain(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    if (unit < 0x20 || unit > 0x7e || unit === 0x22 || unit === 0x5c) return false
  }
  return true
}
