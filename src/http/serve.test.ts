import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import type { HttpHandler, IncomingRequest } from '#io/http.ts'
import { silentLog } from '#io/log.ts'
import { simulatedBody } from '#io/simulated/simulated-body.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import * as t from '#schema/schema.ts'
import { ByteAnswer } from './byte-answer.ts'
import { answer, endpoint, type RequestOf, type Route } from './endpoint.ts'
import { RawJson, RawJsonPages } from './raw-json.ts'
import { type Shell, serve } from './serve.ts'

const echo = endpoint({
  operationId: 'echo',
  method: 'POST',
  path: '/echo/{roomId}/{stateKey}',
  auth: 'none',
  params: { roomId: t.roomId, stateKey: t.string() },
  query: {
    limit: t.optional(t.integer({ min: 1 })),
    full: t.optional(t.boolean()),
    v: t.optional(t.array(t.eventId)),
    dir: t.optional(t.oneOf('f', 'b')),
  },
  body: t.object({
    name: t.optional(t.string({ max: 5 })),
    users: t.optional(t.array(t.userId)),
    nested: t.optional(t.object({ count: t.integer() })),
  }),
  bodyBytesMax: 1000,
  response: t.unknown(),
})

const strict = endpoint({
  operationId: 'strict',
  method: 'PUT',
  path: '/strict',
  auth: 'none',
  query: { at: t.integer() },
  body: t.object({ name: t.string() }),
  response: t.object({ ok: t.boolean() }),
})

const whoami = endpoint({
  operationId: 'whoami',
  method: 'GET',
  path: '/whoami',
  auth: 'user',
  response: t.unknown(),
})

const open = endpoint({ ...whoami, operationId: 'open', path: '/open', guests: true })
const maybe = endpoint({ ...whoami, operationId: 'maybe', path: '/maybe', auth: 'optional-user' })
const federated = endpoint({
  operationId: 'federated',
  method: 'PUT',
  path: '/federated',
  auth: 'server',
  body: t.jsonObject,
  response: t.unknown(),
})
const failing = endpoint({ ...whoami, operationId: 'failing', path: '/failing', auth: 'none' })
const picture = endpoint({ ...failing, operationId: 'picture', path: '/picture' })

const routes: Route<{ fail: () => never }>[] = [
  answer(echo, async ({ params, query, body }) => ({ params, query, body })),
  answer(strict, async ({ query, body }) => ({ ok: query.at === 1 && body.name === 'x' })),
  answer(whoami, async ({ session }) => session),
  answer(open, async ({ session }) => session),
  answer(maybe, async ({ session }) => session ?? {}),
  answer(federated, async ({ origin, rawBody }) => ({ origin, bytes: rawBody.length })),
  answer(failing, async (_, { fail }: { fail: () => never }) => fail()),
  answer(
    picture,
    async () =>
      new ByteAnswer({ status: 200, headers: { 'content-type': 'image/png' }, body: bytes('png') }),
  ),
]

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

test('an unexpected error is logged and shows nothing', async () => {
  const logged: unknown[] = []
  const log = { ...silentLog, error: (_: string, fields?: object) => logged.push(fields) }
  const secret = new Error('the secret is 42')
  const got = await ask('GET', '/failing?access_token=s3cret', undefined, {
    shell: { log },
    fail: secret,
  })
  assert.equal(got.status, 500)
  assert.deepEqual(got.body, { errcode: 'M_UNKNOWN', error: 'Something went wrong here.' })
  assert.deepEqual(logged, [{ method: 'GET', path: '/failing', error: secret }])
})

test('errors show their extra keys, and when to try again', async () => {
  const extra = { retry_after_ms: 1500 }
  const fail = new MatrixError(429, 'M_LIMIT_EXCEEDED', 'Too much.', { extra })
  const got = await ask('GET', '/failing', undefined, { fail })
  assert.deepEqual(got.body, { errcode: 'M_LIMIT_EXCEEDED', error: 'Too much.', ...extra })
  assert.equal(got.headers['retry-after'], '2')
})

test('other errors are explained by whoever knows them', async () => {
  const explain = () => new MatrixError(502, 'M_UNKNOWN', 'b is unreachable.')
  const got = await ask('GET', '/failing', undefined, { fail: new Error('x'), shell: { explain } })
  assert.equal(got.status, 502)
  assert.equal(got.body.error, 'b is unreachable.')
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

test('an answer that is not as its schema says fails where answers are checked', async () => {
  const wrong: Route<object>[] = [answer(strict, async () => ({ ok: 'yes' }) as never)]
  const handler = serve(wrong, {}, { log: silentLog, checkAnswers: true })
  const got = await read(handler, request('PUT', '/strict?at=1', { name: 'x' }))
  assert.equal(got.status, 500)
})

test('bytes are answered as they are', async () => {
  const handler = serve(routes, { fail: assert.fail }, { log: silentLog })
  const got = await handler(request('GET', '/picture', undefined))
  assert.equal(got.headers['content-type'], 'image/png')
  assert.deepEqual(got.body, bytes('png'))
})

test('raw JSON and raw numbers are spliced into answers, and the length is right', async () => {
  const big = new RawJson(bytes(`{"b":1.0,"long":"${'x'.repeat(80_000)}"}`))
  const value = {
    a: new RawJson(bytes('{"z": 1}')),
    text: '"\\u0041"\u0041"\\',
    list: [big, new RawJson(bytes('[]'))],
    number: JSON.rawJSON('1.0'),
  }
  const handler = serve([answer(whoami, async () => value)], {}, shellOf())
  const got = await handler(request('GET', '/whoami?access_token=good', undefined))
  const chunks = got.body as Uint8Array[]
  const text = Buffer.concat(chunks).toString()
  assert.equal(
    text,
    `{"a":{"z": 1},"text":${JSON.stringify(value.text)},"list":[${Buffer.from(big.bytes)},[]],"number":1.0}`,
  )
  assert.equal(got.headers['content-length'], String(text.length))
})

/** A handler whose answer has these pages in a list, and another list without any. */
function paged(pages: AsyncIterable<readonly Uint8Array[]>, shell = shellOf()) {
  const none = new RawJsonPages((async function* () {})())
  const value = { none: [none], list: [new RawJsonPages(pages)], after: new RawJson(bytes('[1]')) }
  return serve([answer(whoami, async () => value)], {}, shell)
}

test('pages are read while they are sent, in chunks, and are one list', async () => {
  const long = JSON.stringify('x'.repeat(40_000))
  const pages = [[bytes('1'), bytes(long)], [], [bytes(long), bytes('{"a":1.0}')], [bytes('4')]]
  let read = 0
  const handler = paged(
    (async function* () {
      for (const page of pages) {
        read += 1
        yield page
      }
    })(),
  )
  const got = await handler(request('GET', '/whoami?access_token=good', undefined))
  assert.equal(read, 0)
  assert.equal(got.headers['content-length'], undefined)
  const chunks: Uint8Array[] = []
  for await (const chunk of got.body as AsyncIterable<Uint8Array>) {
    if (chunks.length === 0) assert.equal(read, 3)
    chunks.push(chunk)
  }
  assert.equal(
    Buffer.concat(chunks).toString(),
    `{"none":[],"list":[1,${long},${long},{"a":1.0},4],"after":[1]}`,
  )
})

test('an answer that breaks half-way is told to the log, and to who sends it', async () => {
  const told: unknown[] = []
  const log = { ...silentLog, error: (...entry: unknown[]) => told.push(entry) }
  const broken = new Error('the disk is gone')
  const handler = paged(
    (async function* () {
      yield [bytes('1')]
      throw broken
    })(),
    { ...shellOf(), log },
  )
  const { body } = await handler(request('GET', '/whoami?access_token=good', undefined))
  await assert.rejects(Array.fromAsync(body as AsyncIterable<Uint8Array>), broken)
  const about = { method: 'GET', path: '/whoami', error: broken }
  assert.deepEqual(told, [['an answer broke half-way', about]])
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

function bytes(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text))
}

function shellOf(more: Partial<Shell> = {}): Shell {
  return {
    log: silentLog,
    authenticateUser: async (token) => {
      if (token === 'good') return { userId: '@alice:a', deviceId: 'D', guest: false }
      if (token === 'guest') return { userId: '@guest:a', deviceId: 'D', guest: true }
      throw new MatrixError(401, 'M_UNKNOWN_TOKEN', 'Who are you?')
    },
    ...more,
  }
}

function request(method: string, target: string, body: unknown, headers = {}): IncomingRequest {
  const sent =
    body === undefined
      ? new Uint8Array()
      : body instanceof Uint8Array
        ? body
        : bytes(JSON.stringify(body))
  return {
    method,
    target,
    headers,
    remoteAddress: '10.0.0.1',
    encrypted: false,
    signal: new AbortController().signal,
    ...simulatedBody(sent),
  }
}

async function read(handler: HttpHandler, request: IncomingRequest) {
  const { status, headers, body } = await handler(request)
  const text = Buffer.concat(
    body instanceof Uint8Array ? [body] : (body as Uint8Array[]),
  ).toString()
  return { status, headers, body: JSON.parse(text || '{}') as Record<string, unknown> }
}

/** The one place that touches the API under test. */
async function ask(
  method: string,
  target: string,
  body: unknown,
  options: { headers?: object; shell?: Partial<Shell>; fail?: Error } = {},
) {
  const fail = () => {
    throw options.fail ?? new Error('must not run')
  }
  const handler = serve(routes, { fail }, shellOf(options.shell))
  return read(handler, request(method, target, body, options.headers))
}
