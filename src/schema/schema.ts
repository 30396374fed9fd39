/**
 * What requests and answers look like: the one place that knows the schema library. A schema is a
 * JSON Schema, as in the spec's OpenAPI files, and carries the TypeScript type of its values.
 *
 * Everything is bounded: a string has at most 65,536 characters and an array at most 1,000 items
 * unless the schema says otherwise. Objects may have keys that the schema does not name, since
 * clients and servers of other versions send them.
 *
 * @module
 */

import {
  type TArray,
  type TBoolean,
  type TInteger,
  type TLiteral,
  type TNull,
  type TNumber,
  type TObject,
  type TOptional,
  type TProperties,
  type TRecord,
  type TSchema,
  type TString,
  type TUnion,
  type TUnknown,
  type TUnsafe,
  Type,
} from 'typebox'
import { parseEventId } from '#protocol/identifiers/event-id.ts'
import { isMediaId, parseMxcUri } from '#protocol/identifiers/mxc-uri.ts'
import { parseRoomAlias } from '#protocol/identifiers/room-alias.ts'
import { parseRoomId } from '#protocol/identifiers/room-id.ts'
import { parseServerName } from '#protocol/identifiers/server-name.ts'
import { parseUserId } from '#protocol/identifiers/user-id.ts'
import type { Json, JsonObject } from '#protocol/json.ts'

export type { Static, TOptional, TSchema } from 'typebox'

const stringLengthMax = 65_536
const arrayLengthMax = 1_000

/** The bounds of a length, both included. */
export interface Bounds {
  readonly min?: number
  readonly max?: number
}

/** Text; `max` counts UTF-16 code units. */
export function string({ min = 0, max = stringLengthMax }: Bounds = {}): TString {
  return Type.String(min > 0 ? { minLength: min, maxLength: max } : { maxLength: max })
}

/** An integer that JavaScript keeps exactly, as Matrix asks of all numbers. */
export function integer({
  min = Number.MIN_SAFE_INTEGER,
  max = Number.MAX_SAFE_INTEGER,
}: Bounds = {}): TInteger {
  return Type.Integer({ minimum: min, maximum: max })
}

/** Any number that JSON can have, in the range in which JavaScript keeps integers exactly. */
export function number({
  min = Number.MIN_SAFE_INTEGER,
  max = Number.MAX_SAFE_INTEGER,
}: Bounds = {}): TNumber {
  return Type.Number({ minimum: min, maximum: max })
}

export function boolean(): TBoolean {
  return Type.Boolean()
}

/** A list. Say `max` for one that may be longer than 1,000 items. */
export function array<T extends TSchema>(
  items: T,
  { min = 0, max = arrayLengthMax }: Bounds = {},
): TArray<T> {
  return Type.Array(items, min > 0 ? { minItems: min, maxItems: max } : { maxItems: max })
}

/** An object with these fields, and any others. */
export function object<P extends TProperties>(properties: P): TObject<P> {
  return noNumber(Type.Object(properties))
}

/** An object whose keys are not known; all its values are alike. */
export function record<T extends TSchema>(values: T): TRecord<'^.*$', T> {
  return noNumber(Type.Record(Type.String(), values))
}

/** Numbers that keep their text are objects to JavaScript, and to nobody else. */
function noNumber<T extends TSchema>(schema: T): T {
  const isNone = (value: unknown) => !JSON.isRawJSON(value)
  return Type.Refine(schema, isNone, () => 'must be object') as T
}

/** Any value. It may still hold raw bytes of JSON in an answer. */
export function unknown(): TUnknown {
  return Type.Unknown()
}

/** Any JSON value, as the reader of JSON gives it. */
export const json: TUnsafe<Json> = Type.Unsafe<Json>({})

/** Any JSON object. */
export const jsonObject: TUnsafe<JsonObject> = noNumber(Type.Unsafe<JsonObject>({ type: 'object' }))

/** The same object, typed as JSON: for one whose further fields are read too. */
export function asJson(schema: TObject): TUnsafe<JsonObject> {
  return schema as unknown as TUnsafe<JsonObject>
}

export function literal<const V extends string | number | boolean>(value: V): TLiteral<V> {
  return Type.Literal(value)
}

/** JSON's `null`. */
export function nothing(): TNull {
  return Type.Null()
}

/** One of some words. */
export function oneOf<const V extends string>(...values: V[]): TUnsafe<V> {
  return Type.Unsafe<V>({ type: 'string', enum: values })
}

export function union<T extends TSchema[]>(...alternatives: [...T]): TUnion<T> {
  return Type.Union<T>(alternatives as T)
}

/** Marks a field that may be absent. */
export function optional<T extends TSchema>(schema: T): TOptional<T> {
  return Type.Optional(schema) as TOptional<T>
}

/** A string that a parser accepts, typed as what the parser gives. */
function parsed<T extends string>(
  parse: (text: string) => T | undefined,
  expected: string,
): TUnsafe<T> {
  const text = Type.Unsafe<T>({ type: 'string', maxLength: stringLengthMax })
  return Type.Refine(
    text,
    (value) => parse(value as string) !== undefined,
    () => `must be ${expected}`,
  ) as TUnsafe<T>
}

export const userId = parsed(parseUserId, 'a user ID such as @alice:example.org')
export const roomId = parsed(parseRoomId, 'a room ID such as !abc:example.org')
export const eventId = parsed(parseEventId, 'an event ID such as $abc')
export const roomAlias = parsed(parseRoomAlias, 'a room alias such as #room:example.org')
export const serverName = parsed(parseServerName, 'a server name such as example.org')
export const mxcUri = parsed<string>(
  (text) => (parseMxcUri(text) === undefined ? undefined : text),
  'an mxc URI such as mxc://example.org/abc',
)
export const mediaId = parsed<string>(
  (text) => (isMediaId(text) ? text : undefined),
  'a media ID: letters, digits, _ and -',
)

/** Milliseconds since the Unix epoch. */
export const timestamp: TInteger = integer()
