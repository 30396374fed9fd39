/**
 * Requests made from schemas: values that are right, and values that are wrong in one place.
 *
 * @module
 */

import { isJsonObject, type Json, type JsonObject } from '../../src/protocol/json.ts'
import { matches } from '../../src/schema/check.ts'
import type { TSchema } from '../../src/schema/schema.ts'

/** A value that is wrong in one place. */
export interface Wrong {
  /** Where and how: `users/0: a number`. */
  readonly how: string
  readonly value: Json
  /** Whether something is absent there. */
  readonly missing: boolean
}

/** Texts of every kind that a schema may ask for, the plainest first. */
const texts = (roomId: string) => [
  'x',
  '1',
  '@alice:alpha.test:8448',
  roomId,
  '$event',
  '#alias:alpha.test:8448',
  'alpha.test:8448',
  'mxc://alpha.test:8448/abc',
]

const schemaOf = (value: Json | undefined) =>
  isJsonObject(value ?? null) ? (value as JsonObject) : {}

/** A value that a schema takes: with all that is optional too, where `full`. */
export function sample(schema: TSchema, roomId: string, full = true): Json {
  const { type, anyOf, enum: words, const: constant, ...rest } = schema as unknown as JsonObject
  if (constant !== undefined) return constant
  if (Array.isArray(words)) return words[0] as Json
  if (Array.isArray(anyOf)) return sample(anyOf[0] as unknown as TSchema, roomId, full)
  if (type === 'string') {
    const found = texts(roomId).find((text) => matches(schema, text))
    if (found === undefined) throw new Error(`no sample for ${JSON.stringify(schema)}`)
    return found
  }
  if (type === 'integer' || type === 'number') return Math.max(Number(rest.minimum ?? 0), 0)
  if (type === 'boolean') return true
  if (type === 'null') return null
  if (type === 'array') {
    return rest.items === undefined ? [] : [sample(rest.items as unknown as TSchema, roomId, full)]
  }
  if (type !== 'object') return {}
  const required = new Set((rest.required ?? []) as readonly string[])
  const fields = Object.entries(schemaOf(rest.properties)).filter(
    ([name]) => full || required.has(name),
  )
  return Object.fromEntries(
    fields.map(([name, field]) => [name, sample(field as unknown as TSchema, roomId, full)]),
  )
}

/** All values that differ from a sample in one place, each of which the schema refuses. */
export function wrongs(schema: TSchema, roomId: string, at = ''): Wrong[] {
  const own = schema as unknown as JsonObject
  const right = sample(schema, roomId)
  const here = wrongHere(own, right).map(([how, value]) => ({
    how: `${at || 'all of it'}: ${how}`,
    value,
    missing: false,
  }))
  const refused = here.filter(({ value }) => !matches(schema, value))
  return [...refused, ...wrongInside(own, right, { roomId, at })]
}

function wrongHere(schema: JsonObject, right: Json): [string, Json][] {
  const { type, maxLength, minLength, maxItems, minItems, minimum, maximum } = schema
  const found: [string, Json][] = [
    ['a number', 7.5],
    ['a boolean', false],
    ['a text', '\u{1F6A2} no such thing'],
    ['a list', [null]],
    ['null', null],
  ]
  // An object that has other fields than it should lacks those, which is tried one by one.
  if (type !== 'object') found.push(['an object', { 'no such': 'field' }])
  const long = (count: Json | undefined) => (count === undefined ? [] : [Number(count) + 1])
  if (type === 'string') {
    for (const length of long(maxLength)) found.push(['too long', 'x'.repeat(length)])
    if (minLength !== undefined) found.push(['empty', ''])
  }
  if (type === 'array' && Array.isArray(right) && Number(maxItems) <= 10_000) {
    const [first = 0] = right as readonly Json[]
    for (const length of long(maxItems)) found.push(['too many', Array(length).fill(first)])
    if (minItems !== undefined) found.push(['none', []])
  }
  if (minimum !== undefined) found.push(['too small', Number(minimum) - 1])
  if (maximum !== undefined) found.push(['too large', Number(maximum) + 1])
  return found
}

function wrongInside(
  schema: JsonObject,
  right: Json,
  { roomId, at }: { roomId: string; at: string },
): Wrong[] {
  const below = (name: string) => (at === '' ? name : `${at}/${name}`)
  if (Array.isArray(right) && schema.items !== undefined) {
    const items = wrongs(schema.items as unknown as TSchema, roomId, below('0'))
    return items.map((wrong) => ({ ...wrong, value: [wrong.value] }))
  }
  if (!isJsonObject(right)) return []
  const required = (schema.required ?? []) as readonly string[]
  const lacking = required.map((name) => {
    const { [name]: _, ...value } = right
    return { how: `${below(name)}: missing`, value, missing: true }
  })
  const fields = Object.entries(schemaOf(schema.properties)).flatMap(([name, field]) =>
    wrongs(field as unknown as TSchema, roomId, below(name)).map((wrong) => ({
      ...wrong,
      value: { ...right, [name]: wrong.value },
    })),
  )
  return [...lacking, ...fields]
}

/** Texts that a schema refuses, where a path or a query has a text for each value. */
export function wrongTexts(
  schema: TSchema,
  roomId: string,
): readonly [how: string, text: string][] {
  const own = schema as unknown as JsonObject
  const isMany = own.type === 'array'
  const one = (isMany ? own.items : own) as JsonObject
  const as = (text: string): Json => {
    if (one.type === 'integer') return /^-?\d+$/.test(text) ? Number(text) : text
    if (one.type === 'boolean') return text === 'true' || (text === 'false' ? false : text)
    return text
  }
  return wrongHere(one, sample(one as unknown as TSchema, roomId))
    .map(([how, value]): [string, string] => [how, isJsonObject(value) ? '{}' : String(value)])
    .filter(([, text]) => !matches(schema, isMany ? [as(text)] : as(text)))
}
