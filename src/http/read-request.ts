/**
 * Turns the text of a request into checked values: query, path parameters and body.
 *
 * @module
 */

import { type NumberRule, readJson } from '#protocol/json-reader.ts'
import { type ErrCode, MatrixError } from '#protocol/matrix-error.ts'
import { problemWith, sentence } from '#schema/check.ts'
import { object, type TSchema } from '#schema/schema.ts'

type Fields = Readonly<Record<string, TSchema>>

/** Path parameters, checked. */
export function readParams(
  fields: Fields | undefined,
  params: Readonly<Record<string, string>>,
): unknown {
  const values = { ...params }
  if (fields !== undefined) check(schemaOf(fields), values, 'M_INVALID_PARAM')
  return values
}

/** The query's fields, checked. Unknown ones are ignored; of a field that is no list the first counts. */
export function readQuery(fields: Fields | undefined, query: URLSearchParams): unknown {
  const values: Record<string, unknown> = {}
  for (const [name, field] of Object.entries(fields ?? {})) {
    const texts = query.getAll(name)
    const [first] = texts
    if (first === undefined) continue
    values[name] = typeOf(field) === 'array' ? texts.map(readItem(field)) : readText(field, first)
  }
  if (fields !== undefined) check(schemaOf(fields), values, 'M_INVALID_PARAM')
  return values
}

/**
 * A JSON body, checked. Clients send nothing at all where the spec wants `{}`: that is taken as
 * `{}` if all of the body is optional.
 */
export function readBody(schema: TSchema, bytes: Uint8Array, numbers: NumberRule): unknown {
  if (bytes.length === 0 && problemWith(schema, {}) === undefined) return {}
  const read = readJson(bytes, numbers)
  if (!read.ok) {
    throw new MatrixError(400, 'M_NOT_JSON', `The body is not JSON as we take it: ${read.reason}.`)
  }
  check(schema, read.value, 'M_BAD_JSON')
  return read.value
}

function check(schema: TSchema, value: unknown, errcode: ErrCode): void {
  const problem = problemWith(schema, value)
  if (problem === undefined) return
  // A parameter of the request; what an object in it lacks makes that malformed.
  const isParameter = problem.missing && !problem.path.includes('/')
  throw new MatrixError(400, isParameter ? 'M_MISSING_PARAM' : errcode, sentence(problem))
}

const schemas = new WeakMap<Fields, TSchema>()

function schemaOf(fields: Fields): TSchema {
  const known = schemas.get(fields)
  if (known !== undefined) return known
  const schema = object({ ...fields })
  schemas.set(fields, schema)
  return schema
}

function typeOf(schema: TSchema): unknown {
  return 'type' in schema ? schema.type : undefined
}

function readItem(array: TSchema): (text: string) => unknown {
  const items = 'items' in array ? (array.items as TSchema) : {}
  return (text) => readText(items, text)
}

/** Text as the number or boolean that the schema asks for; what is neither stays text and fails. */
function readText(schema: TSchema, text: string): unknown {
  if (typeOf(schema) === 'integer' && /^-?\d{1,16}$/.test(text)) return Number(text)
  if (typeOf(schema) === 'boolean' && text === 'true') return true
  if (typeOf(schema) === 'boolean' && text === 'false') return false
  return text
}
