/**
 * What the spec says of the types of fields, asked of the server: each field of another type than the
 * spec's is refused, and each one that it requires and that is missing.
 *
 * `client-gates.test.ts` does this with our schemas, which say more; this test knows nothing of them.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isJsonObject, type Json, type JsonObject } from '../../src/protocol/json.ts'
import { requestOf, valuesFor } from './client-requests.ts'
import { clientScene } from './client-scene.ts'
import { type SpecOperation, skip, specOperations } from './openapi.ts'
import { keyOf, ourEndpoints, servedOperations } from './our-endpoints.ts'

/** Where something else is taken than the spec says, and why. */
const departures: Readonly<Record<string, string>> = {
  'POST /_matrix/client/v3/room_keys/version: algorithm: unknown':
    'What a backup is encrypted with is between clients: newer ones have other algorithms.',
  'PUT /_matrix/client/v3/room_keys/version/{version}: algorithm: unknown': 'The same.',
}

const values: Readonly<Record<string, Json>> = {
  string: 'no such thing',
  integer: 7,
  number: 7.5,
  boolean: true,
  array: [],
  object: {},
}

/** Values that are not of the type or types of a schema; none if it does not say. */
function otherThan({ type, enum: words }: JsonObject): [string, Json][] {
  const types = Array.isArray(type) ? type : [type]
  if (type === undefined) return []
  const isNumeric = types.includes('integer') || types.includes('number')
  const others = Object.entries(values).filter(
    ([name]) => !types.includes(name) && !(isNumeric ? name === 'integer' : name === 'number'),
  )
  return [
    ...others,
    ...(Array.isArray(words) ? [['unknown', 'no such word'] as [string, Json]] : []),
  ]
}

/** A field, as the names on the way to it, with a value it must not have; `undefined` is none at all. */
type Wrong = readonly [way: readonly string[], how: string, value: Json | undefined]

function wrongFields(schema: JsonObject, way: readonly string[]): Wrong[] {
  const found: Wrong[] =
    way.length === 0 ? [] : otherThan(schema).map(([how, value]) => [way, how, value])
  if (way.length > 4) return found
  const required = (schema.required ?? []) as readonly string[]
  for (const name of required) found.push([[...way, name], 'missing', undefined])
  for (const [name, field] of Object.entries((schema.properties ?? {}) as JsonObject)) {
    found.push(...wrongFields(field as JsonObject, [...way, name]))
  }
  if (isJsonObject(schema.items ?? null))
    found.push(...wrongFields(schema.items as JsonObject, [...way, '0']))
  const { additionalProperties: more } = schema
  if (isJsonObject(more ?? null))
    found.push(...wrongFields(more as JsonObject, [...way, '@alice:alpha.test:8448']))
  return found
}

/** A value with another one at the end of a way into it. */
function replaced(
  value: Json | undefined,
  [name, ...rest]: readonly string[],
  by: Json | undefined,
): Json {
  if (name === undefined) return by ?? null
  const inside = (old: Json | undefined) => (rest.length === 0 ? by : replaced(old, rest, by))
  if (name === '0') return [inside(Array.isArray(value) ? value[0] : undefined) ?? null]
  const object = isJsonObject(value ?? null) ? (value as JsonObject) : {}
  const { [name]: old, ...others } = object
  const changed = inside(old)
  return changed === undefined ? others : { ...others, [name]: changed }
}

/** A body of an operation that is right. Of the two forms of inviting each has its own. */
function rightBody({ operationId }: SpecOperation, body: Json | undefined): Json | undefined {
  if (operationId === 'inviteUser') return { user_id: '@bob:alpha.test:8448' }
  if (operationId !== 'inviteBy3PID') return body
  return { id_server: 'id.test', id_access_token: 'x', medium: 'email', address: 'a@b.test' }
}

test('a body whose fields are not as the spec says is refused', { skip }, async (t) => {
  const scene = await clientScene(t)
  const served = await servedOperations()
  const ours = new Map((await ourEndpoints()).map(({ endpoint }) => [keyOf(endpoint), endpoint]))
  const wrong: string[] = []
  const departed = new Set<string>()
  let count = 0
  for (const operation of specOperations()) {
    const key = keyOf(operation)
    const endpoint = ours.get(key)
    const { body } = operation.schemas
    if (operation.api !== 'client-server' || !served.has(key) || !endpoint || !body) continue
    const user = key.includes('/admin/') ? scene.admin : scene.alice
    const right = valuesFor(endpoint, scene.roomId, user.userId)
    const request = requestOf(endpoint, right)
    for (const [way, how, value] of wrongFields(body, [])) {
      count += 1
      const sent = replaced(rightBody(operation, right.body), way, value)
      const answer = await scene.ask(request, { token: user.token, body: sent })
      if (answer.status === 400) continue
      const where = `${key}: ${way.join('/')}: ${how}`
      if (where in departures) departed.add(where)
      else wrong.push(`${where}: ${answer.status} ${JSON.stringify(answer.body)}`)
    }
  }
  assert.deepEqual(wrong, [])
  assert.deepEqual([...departed], Object.keys(departures))
  assert.ok(count > 1_000, `${count} requests`)
})

test('a query whose fields are not as the spec says is refused', { skip }, async (t) => {
  const scene = await clientScene(t)
  const served = await servedOperations()
  const ours = new Map((await ourEndpoints()).map(({ endpoint }) => [keyOf(endpoint), endpoint]))
  const wrong: string[] = []
  let count = 0
  for (const operation of specOperations()) {
    const key = keyOf(operation)
    const endpoint = ours.get(key)
    if (operation.api !== 'client-server' || !served.has(key) || !endpoint) continue
    const { userId, token } = scene.alice
    const right = valuesFor(endpoint, scene.roomId, userId)
    for (const [name, { type, enum: words }] of Object.entries(operation.schemas.query)) {
      const texts = [
        ...(['integer', 'boolean'].some((one) => one === type) ? ['no such thing', '1e3', ''] : []),
        ...(type === 'integer' ? ['1.5', 'true'] : []),
        ...(type === 'boolean' ? ['1', 'True'] : []),
        ...(words === undefined ? [] : ['no such word', '']),
      ]
      for (const text of texts) {
        count += 1
        const request = requestOf(endpoint, { ...right, query: { ...right.query, [name]: text } })
        const { status, body } = await scene.ask(request, { token, body: right.body })
        if (status !== 400) wrong.push(`${request}: ${status} ${JSON.stringify(body)}`)
      }
    }
  }
  assert.deepEqual(wrong, [])
  assert.ok(count > 100, `${count} requests`)
})
