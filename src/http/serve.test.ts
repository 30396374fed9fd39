/**
 * From requests to handlers: what arrives there, and what is refused before.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import { ask, bytes, type echo, type strict } from '../../test/echo-routes.ts'
import type { RequestOf } from './endpoint.ts'
import type { Shell } from './serve.ts'

test('values arrive checked and typed', async () => {
  const got = await ask('POST', '/echo/%21a%2F%25:b.c/%40x?limit=3&full=true&v=$a&v=%24b%2F&z=1', {
    name: 'n',
    users: ['@a:b'],
    extra: [1],
  })
  assert.deepEqual(got.body, {
    params: { roomId: '!a/%:b.c', stateKey: '@x' },
    query: { limit: 3, full: true, v: ['$a', '$b/'] },
    body: { name: 'n', users: ['@a:b'], extra: [1] },
  })
})

test('an empty path parameter and an empty body are taken where all is optional', async () => {
  const got = await ask('POST', '/echo/!a:b/', undefined)
  assert.deepEqual(got.body, { params: { roomId: '!a:b', stateKey: '' }, query: {}, body: {} })
})

// Method, target, body; then the status, errcode and part of the sentence that answer it.
const refusals = [
  ['GET', '/nothing', undefined, 404, 'M_UNRECOGNIZED', 'no such'],
  ['GET', '/strict/', undefined, 404, 'M_UNRECOGNIZED', 'no such'],
  ['GET', '/strict', undefined, 405, 'M_UNRECOGNIZED', 'GET'],
  ['HEAD', '/whoami', undefined, 405, 'M_UNRECOGNIZED', 'HEAD'],
  ['POST', '/echo/a/b', {}, 400, 'M_INVALID_PARAM', "'roomId' must be a room ID"],
  ['POST', '/echo/!a:b/b?limit=x', {}, 400, 'M_INVALID_PARAM', "'limit'"],
  ['POST', '/echo/!a:b/b?limit=0', {}, 400, 'M_INVALID_PARAM', "'limit'"],
  ['POST', '/echo/!a:b/b?limit=1.5', {}, 400, 'M_INVALID_PARAM', "'limit'"],
  ['POST', '/echo/!a:b/b?full=1', {}, 400, 'M_INVALID_PARAM', "'full'"],
  ['POST', '/echo/!a:b/b?dir=up', {}, 400, 'M_INVALID_PARAM', "'dir'"],
  ['POST', '/echo/!a:b/b?v=$a&v=b', {}, 400, 'M_INVALID_PARAM', "'v/1' must be an event ID"],
  ['POST', '/echo/!a:b/b', { name: 'toolong' }, 400, 'M_BAD_JSON', "'name'"],
  ['POST', '/echo/!a:b/b', { users: ['@a:b', 'a'] }, 400, 'M_BAD_JSON', "'users/1' must be a user"],
  ['POST', '/echo/!a:b/b', { nested: {} }, 400, 'M_BAD_JSON', "'nested/count' is required"],
  ['POST', '/echo/!a:b/b', [], 400, 'M_BAD_JSON', 'must be object'],
  ['POST', '/echo/!a:b/b', bytes('{"a":1,"a":1}'), 400, 'M_NOT_JSON', 'not JSON as we take it'],
  ['POST', '/echo/!a:b/b', bytes('{'), 400, 'M_NOT_JSON', 'not JSON'],
  ['POST', '/echo/!a:b/b', new Uint8Array([0x22, 0xff, 0x22]), 400, 'M_NOT_JSON', 'not JSON'],
  ['POST', '/echo/!a:b/b', { z: 'z'.repeat(1000) }, 413, 'M_TOO_LARGE', '1000 bytes'],
  ['PUT', '/strict?at=1', undefined, 400, 'M_NOT_JSON', 'not JSON'],
  ['PUT', '/strict?at=1', { z: 'z'.repeat(70_000) }, 413, 'M_TOO_LARGE', '65536 bytes'],
  ['PUT', '/strict', { name: 'x' }, 400, 'M_MISSING_PARAM', "'at' is required"],
  ['PUT', '/strict?at=1', {}, 400, 'M_MISSING_PARAM', "'name' is required"],
  ['GET', '/whoami', undefined, 401, 'M_MISSING_TOKEN', 'access token'],
  ['GET', '/whoami?access_token=bad', undefined, 401, 'M_UNKNOWN_TOKEN', 'Who'],
  ['GET', '/whoami?access_token=guest', undefined, 403, 'M_GUEST_ACCESS_FORBIDDEN', 'Guests'],
  ['GET', '/maybe?access_token=guest', undefined, 403, 'M_GUEST_ACCESS_FORBIDDEN', 'Guests'],
  ['GET', '/maybe?access_token=bad', undefined, 401, 'M_UNKNOWN_TOKEN', 'Who'],
] as const

for (const [method, target, body, status, errcode, part] of refusals) {
  const sent = body instanceof Uint8Array ? Buffer.from(body) : (JSON.stringify(body) ?? 'nothing')
  test(`${method} ${target} with ${sent.slice(0, 40)} -> ${status} ${errcode}`, async () => {
    const got = await ask(method, target, body)
    assert.equal(got.status, status)
    assert.equal(got.body.errcode, errcode)
    assert.ok(String(got.body.error).includes(part), String(got.body.error))
    assert.equal(got.headers['access-control-allow-origin'], '*')
  })
}

test('a token is taken from the header first, else from the query', async () => {
  const inHeader = await ask('GET', '/whoami?access_token=bad', undefined, {
    headers: { authorization: 'Bearer good' },
  })
  assert.equal(inHeader.body.userId, '@alice:a')
  const inQuery = await ask('GET', '/whoami?access_token=good', undefined)
  assert.equal(inQuery.body.userId, '@alice:a')
  assert.deepEqual((await ask('GET', '/maybe', undefined)).body, {})
})

test('guests may ask where the endpoint says so', async () => {
  assert.equal((await ask('GET', '/open?access_token=guest', undefined)).body.guest, true)
})

test('a server is authenticated over the raw body, before the body is read as JSON', async () => {
  const seen: Uint8Array[] = []
  const shell: Partial<Shell> = {
    authenticateServer: async (_, raw) => {
      seen.push(raw)
      return 'b' as ServerName
    },
  }
  const got = await ask('PUT', '/federated', bytes('{ "a": 1 }'), { shell })
  assert.deepEqual(got.body, { origin: 'b', bytes: 10 })
  assert.equal((await ask('PUT', '/federated', bytes('{'), { shell })).body.errcode, 'M_NOT_JSON')
  assert.deepEqual(seen, [bytes('{ "a": 1 }'), bytes('{')])
})

test('OPTIONS answers with the CORS headers and runs nothing', async () => {
  const got = await ask('OPTIONS', '/failing', undefined)
  assert.equal(got.status, 204)
  assert.equal(got.headers['access-control-allow-methods'], 'GET, POST, PUT, DELETE, OPTIONS')
  const allowed = 'X-Requested-With, Content-Type, Authorization'
  assert.equal(got.headers['access-control-allow-headers'], allowed)
})

test('the rate is limited after authentication and before the body is read', async () => {
  const seen: unknown[] = []
  const limitRate: Shell['limitRate'] = (endpoint, requester) => {
    seen.push([endpoint.operationId, requester.session?.userId, requester.remoteAddress])
    throw new MatrixError(429, 'M_LIMIT_EXCEEDED', 'Too much.')
  }
  const got = await ask('POST', '/echo/!a:b/c', bytes('{'), { shell: { limitRate } })
  assert.equal(got.status, 429)
  await ask('GET', '/whoami?access_token=good', undefined, { shell: { limitRate } })
  assert.deepEqual(seen, [
    ['echo', undefined, '10.0.0.1'],
    ['whoami', '@alice:a', '10.0.0.1'],
  ])
})

test('whatever is asked for, the answer is JSON and nothing fails', async () => {
  const piece = fc.oneof(
    fc.constantFrom(
      'echo',
      'strict',
      'whoami',
      '!a:b',
      '%',
      '%00',
      '%FF',
      '..',
      '',
      '?',
      '&',
      '=',
      '#',
    ),
    fc.string({ unit: 'binary', maxLength: 20 }),
  )
  const target = fc.array(piece, { maxLength: 6 }).map((pieces) => `/${pieces.join('/')}`)
  const method = fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'get', 'CONNECT', '')
  const body = fc.oneof(
    fc.uint8Array({ maxLength: 50 }),
    fc.json().map((text) => bytes(text)),
  )
  await fc.assert(
    fc.asyncProperty(method, target, body, async (...sent) => {
      const { status, body } = await ask(...sent)
      assert.ok(status < 500, `${status} ${body.error}`)
    }),
    { numRuns: 500 },
  )
})

test('optional fields of a query may be absent, required ones are there', () => {
  type Query = RequestOf<typeof echo>['query']
  const empty: Query = {}
  // @ts-expect-error An optional field is absent or has a value, it is never there as undefined.
  const wrong: Query = { limit: undefined }
  // @ts-expect-error A required field may not be left out.
  const missing: RequestOf<typeof strict>['query'] = {}
  const right: RequestOf<typeof strict>['query'] = { at: 1 }
  assert.deepEqual([empty, wrong, missing, right].length, 4)
})
