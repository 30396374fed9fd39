/**
 * Our endpoints against the spec's OpenAPI files: the same operations, under the same names, in
 * files of the same names, with the same parameters.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Endpoint } from '../../src/http/endpoint.ts'
import { type SpecFields, type SpecOperation, skip, specOperations } from './openapi.ts'
import { keyOf, ourEndpoints } from './our-endpoints.ts'

/** Where we differ from the files on purpose, and why. */
const departures: Readonly<Record<string, { readonly [part: string]: string }>> = {
  'POST /_matrix/client/v3/join/{roomIdOrAlias}': {
    query: '`server_name` is what `via` was called before, and what older clients send.',
  },
  'POST /_matrix/client/v3/knock/{roomIdOrAlias}': {
    query: '`server_name` is what `via` was called before, and what older clients send.',
  },
  'GET /_matrix/client/v3/publicRooms': {
    auth: 'A setting hides the list from who has no token, and only users make us ask other servers.',
  },
  'GET /_matrix/federation/v1/timestamp_to_event/{roomId}': {
    auth: 'The file says that users ask it, which is a mistake: all else there is between servers.',
  },
  'GET /_matrix/client/v1/room_summary/{roomIdOrAlias}': {
    auth: 'The file says that servers sign it, which is a mistake: it is for users, or nobody.',
  },
  'POST /_matrix/client/v3/rooms/{roomId}/invite': {
    body: 'The operation has two forms, in two files, of which this has both.',
  },
  'PUT /_matrix/client/v3/rooms/{roomId}/send/{eventType}/{txnId}': {
    response: 'An event that is sent later has no ID yet, but its delay has one.',
  },
  'PUT /_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey}': {
    response: 'An event that is sent later has no ID yet, but its delay has one.',
  },
}

/** Operations that this version of the spec has no more, and why we have them still. */
const bygone = new Set([
  // The first versions of these are asked for where a server does not know the second.
  'PUT /_matrix/federation/v1/send_join/{roomId}/{eventId}',
  'PUT /_matrix/federation/v1/send_leave/{roomId}/{eventId}',
])

test('every endpoint is an operation of the spec', { skip }, async (t) => {
  const operations = Map.groupBy(specOperations(), (one) => keyOf(one))
  for (const { api, file, endpoint } of await ourEndpoints()) {
    await t.test(keyOf(endpoint), () => {
      // Two forms of inviting have one path.
      const specs = operations.get(keyOf(endpoint))
      const spec = specs?.find((one) => one.operationId === endpoint.operationId) ?? specs?.[0]
      assert.notEqual(spec !== undefined, bygone.has(keyOf(endpoint)), 'bygone or not')
      if (bygone.has(keyOf(endpoint))) return
      assert.ok(spec, 'the spec has no such operation')
      assert.equal(endpoint.operationId, spec.operationId)
      assert.equal(`${api}/${file}`, `${spec.api}/${spec.file.replaceAll('_', '-')}`)
      compare(endpoint, spec)
    })
  }
})

function compare(endpoint: Endpoint, spec: SpecOperation): void {
  const { [keyOf(endpoint)]: allowed = {} } = departures
  const parts: Record<string, () => void> = {
    auth: () => assert.equal(endpoint.auth, spec.auth),
    params: () => {
      assert.deepEqual(Object.keys(endpoint.params ?? {}).sort(), [...spec.params].sort())
    },
    query: () => compareFields(fieldsOf({ properties: endpoint.query ?? {} }), spec.query),
    body: () => {
      assert.equal(endpoint.body !== undefined, spec.body !== undefined, 'has a body')
      if (endpoint.body && spec.body) compareFields(fieldsOf(endpoint.body), spec.body)
    },
    response: () => {
      const ours = fieldsOf(endpoint.response)
      if (!spec.response || ours.names.size === 0) return
      compareNames(ours, spec.response)
      const loose = [...spec.response.required].filter((name) => !ours.required.has(name))
      assert.deepEqual(loose, [], 'promised by the spec, not by us')
    },
  }
  for (const [part, check] of Object.entries(parts)) {
    if (part in allowed) assert.throws(check, `${part} departs no longer`)
    else check()
  }
}

/** All that the spec requires is known here, nothing else is required, and no name is made up. */
function compareFields(ours: SpecFields, spec: SpecFields): void {
  compareNames(ours, spec)
  const missing = [...spec.required].filter((name) => !ours.names.has(name))
  if (ours.names.size > 0) assert.deepEqual(missing, [], 'required by the spec, unknown to us')
  const strict = [...ours.required].filter((name) => !spec.required.has(name))
  assert.deepEqual(strict, [], 'required by us, not by the spec')
}

function compareNames(ours: SpecFields, spec: SpecFields): void {
  const unknown = [...ours.names].filter((name) => !spec.names.has(name) && !isUnstable(name))
  assert.deepEqual(unknown, [], 'names which the spec does not have')
}

/** Names of proposals that have no domain in front. */
const ofProposals = new Set(['postcontent'])

/** Names with a domain in front are those of proposals. */
function isUnstable(name: string): boolean {
  return ofProposals.has(name) || /^[a-z]+\.[a-z.]*msc\d+/.test(name)
}

function fieldsOf(schema: object): SpecFields {
  const properties = 'properties' in schema ? (schema.properties as object) : {}
  const names = Object.keys(properties)
  const isOptional = (name: string) => '~optional' in (Reflect.get(properties, name) as object)
  return {
    names: new Set(names),
    required: new Set(names.filter((name) => !isOptional(name))),
  }
}
