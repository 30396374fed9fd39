/**
 * That what others send has a limit: every text, list and number in a schema of a request, and every
 * body. What a schema leaves open (`json`, records) is limited by the body.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isJsonObject, type Json } from '../../src/protocol/json.ts'
import { ourEndpoints } from './our-endpoints.ts'

/** Where in a schema something has no limit. */
function unlimitedIn(schema: Json, path: string): string[] {
  if (Array.isArray(schema)) {
    return (schema as readonly Json[]).flatMap((one, at) => unlimitedIn(one, `${path}/${at}`))
  }
  if (!isJsonObject(schema)) return []
  const { type, enum: values, const: value } = schema
  const isListed = values !== undefined || value !== undefined
  const lacks = (name: string) =>
    schema[name] === undefined && !isListed ? [`${path}: ${name}`] : []
  const own =
    type === 'string'
      ? lacks('maxLength')
      : type === 'array'
        ? lacks('maxItems')
        : type === 'integer' || type === 'number'
          ? [...lacks('minimum'), ...lacks('maximum')]
          : []
  return [
    ...own,
    ...Object.entries(schema).flatMap(([key, one]) => unlimitedIn(one, `${path}/${key}`)),
  ]
}

const endpoints = await ourEndpoints()

test('every text, list and number of a request has a limit', () => {
  const unlimited = endpoints.flatMap(({ file, name, endpoint }) => {
    const { params, query, body } = endpoint as unknown as Record<string, Json | undefined>
    const schemas = { ...(params as object), ...(query as object), body }
    return unlimitedIn(JSON.parse(JSON.stringify(schemas)), `${file} ${name}`)
  })
  assert.deepEqual(unlimited, [])
  assert.ok(endpoints.length > 150, `${endpoints.length} endpoints`)
})

test('no body is larger than what its operation is known to need', () => {
  const large = endpoints
    .filter(({ endpoint }) => (endpoint.bodyBytesMax ?? 0) > 4 * 1024 * 1024)
    .map(({ name, endpoint }) => `${name} ${endpoint.bodyBytesMax}`)
  // Fifty events, each written as clumsily as an event can be, and a hundred EDUs.
  assert.deepEqual(large, ['sendTransaction 16777216'])
})
