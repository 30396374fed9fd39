/**
 * From what a handler gives, or throws, to the answer that is sent.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { silentLog } from '#io/log.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import {
  ask,
  bytes,
  read,
  request,
  routes,
  shellOf,
  strict,
  whoami,
} from '../../test/echo-routes.ts'
import { answer, type Route } from './endpoint.ts'
import { RawJson, RawJsonPages } from './raw-json.ts'
import { serve } from './serve.ts'

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
