/**
 * Calling another server: what is sent, what becomes of each answer, and when a server is left
 * alone. The network is scripted; back-off is stored in a database in memory.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { endpoint } from '#http/endpoint.ts'
import {
  type HttpClient,
  HttpFailure,
  type IncomingAnswer,
  type OutgoingRequest,
} from '#io/http.ts'
import { silentLog } from '#io/log.ts'
import { VirtualTime } from '#io/simulated/simulated-clock.ts'
import { seededRandom } from '#io/simulated/simulated-random.ts'
import { signingKeyOf } from '#protocol/ed25519.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import { FederationError, type Signer } from '#rooms/remote-servers.ts'
import * as t from '#schema/schema.ts'
import { memoryImage, openSqlite } from '#storage/sqlite.ts'
import { authenticateRequest } from './authenticate-request.ts'
import { createBackOff } from './back-off.ts'
import { type CallOptions, createFederationClient } from './call.ts'
import type { Target } from './discovery.ts'

const us = 'us.test' as ServerName
const them = 'them.test' as ServerName

const key = signingKeyOf(new Uint8Array(32).fill(7))
const signer: Signer = {
  serverName: us,
  keyId: 'ed25519:k',
  publicKey: key.publicKey,
  sign: key.sign,
}

const put = endpoint({
  operationId: 'putThing',
  method: 'PUT',
  path: '/_matrix/federation/v1/thing/{thingId}/{part}',
  auth: 'server',
  params: { thingId: t.string(), part: t.string() },
  query: { v: t.array(t.string()), limit: t.optional(t.integer()), flag: t.optional(t.boolean()) },
  body: t.unknown(),
  response: t.object({ ok: t.boolean() }),
})
const request = {
  params: { thingId: '$a/b?c', part: '!r:h' },
  query: { v: ['$1', '$2 x'], limit: 5, flag: true },
  body: { b: 1, a: 'é' },
}

type Script = (
  request: OutgoingRequest,
) => Partial<Omit<IncomingAnswer, 'body'>> & { body?: string }

interface Stage {
  answer: Script
  targets: readonly Target[]
  readonly asked: OutgoingRequest[]
}

function target(hostname: string): Target {
  return { hostname, port: 1, hostHeader: them, tlsName: them }
}

async function open(answer: Script, image = memoryImage()) {
  const time = new VirtualTime()
  const clock = time.clock()
  const db = await openSqlite({ image })
  const stage: Stage = { answer, targets: [target('h1.test')], asked: [] }
  const httpClient: HttpClient = {
    async request(outgoing) {
      stage.asked.push(outgoing)
      const { status = 200, headers = {}, body = '{"ok":true}' } = stage.answer(outgoing)
      return { status, headers, body: Buffer.from(body) }
    },
    close: async () => {},
  }
  const discovery = {
    targets: async () => {
      if (stage.targets.length === 0) throw new Error('no such name')
      return stage.targets
    },
  }
  const random = { ...seededRandom(1), fraction: () => 0.5 }
  const backOff = await createBackOff({ db, clock, random, log: silentLog })
  const client = createFederationClient({
    clock,
    signer,
    httpClient,
    discovery,
    backOff,
    isAllowed: (server) => server !== 'denied.test',
  })
  /** `ok`, or the kind of failure with status and errcode. */
  const outcome = async (options: CallOptions = {}, destination = them): Promise<string> => {
    try {
      const { json } = await client.call(destination, put, request, options)
      assert.equal(json.ok, true)
      return 'ok'
    } catch (error) {
      assert.ok(error instanceof FederationError, String(error))
      assert.equal(error.destination, destination)
      return [error.kind, error.status, error.errcode]
        .filter((part) => part !== undefined)
        .join(' ')
    }
  }
  return { time, clock, backOff, client, stage, outcome, image }
}

function fails(kind: HttpFailure['kind']): Script {
  return () => {
    throw new HttpFailure(kind, 'it failed')
  }
}

test('a call is signed and encoded so that the other server knows us by it', async () => {
  const { stage, outcome, clock } = await open(() => ({}))
  assert.equal(await outcome(), 'ok')
  const [sent] = stage.asked
  assert.ok(sent)
  assert.equal(
    sent.target,
    '/_matrix/federation/v1/thing/%24a%2Fb%3Fc/!r%3Ah?v=%241&v=%242%20x&limit=5&flag=true',
  )
  assert.equal(Buffer.from(sent.body ?? '').toString(), '{"a":"é","b":1}')
  assert.deepEqual([sent.hostname, sent.hostHeader, sent.tlsName], ['h1.test', them, them])
  const origin = await authenticateRequest(
    {
      serverName: them,
      clock,
      keyring: {
        verifyKeys: async () => [
          { server: us, keyId: 'ed25519:k', key: key.publicKey, validUntilTs: clock.now() },
        ],
      },
    },
    {
      method: sent.method,
      target: sent.target,
      headers: { authorization: sent.headers?.authorization },
    },
    Buffer.from(sent.body ?? ''),
  )
  assert.equal(origin, us)
})

/** What the network does, what the caller is told, and whether the server is then left alone. */
const cases: [string, Script, string, boolean][] = [
  ['a good answer', () => ({}), 'ok', false],
  ['201', () => ({ status: 201 }), 'ok', false],
  ['no JSON', () => ({ body: '<html>' }), 'bad-answer', false],
  ['a key twice', () => ({ body: '{"ok":true,"ok":true}' }), 'bad-answer', false],
  ['another answer', () => ({ body: '{"ok":1}' }), 'bad-answer', false],
  ['a redirect', () => ({ status: 302 }), 'bad-answer 302', false],
  [
    'a refusal',
    () => ({ status: 403, body: '{"errcode":"M_FORBIDDEN","error":"no"}' }),
    'refused 403 M_FORBIDDEN',
    false,
  ],
  ['a refusal without a body', () => ({ status: 404, body: '' }), 'refused 404', false],
  [
    'a refusal with a strange body',
    () => ({ status: 400, body: '{"errcode":5}' }),
    'refused 400',
    false,
  ],
  ['500', () => ({ status: 500, body: '{"errcode":"M_UNKNOWN"}' }), 'refused 500 M_UNKNOWN', false],
  ['502', () => ({ status: 502, body: '<html>' }), 'unreachable 502', true],
  ['503', () => ({ status: 503 }), 'unreachable 503', true],
  ['504', () => ({ status: 504 }), 'unreachable 504', true],
  ['no connection', fails('connect'), 'unreachable', true],
  ['no address', fails('dns'), 'unreachable', true],
  ['a wrong certificate', fails('tls'), 'unreachable', true],
  ['a private address', fails('blocked-address'), 'unreachable', true],
  ['no answer in time', fails('timeout'), 'unreachable', true],
  ['a broken connection', fails('broken'), 'unreachable', true],
  ['called off', fails('aborted'), 'unreachable', false],
  ['too large an answer', fails('too-large'), 'bad-answer', false],
]

for (const [name, answer, expected, isLeftAlone] of cases) {
  test(`a call meets ${name}`, async () => {
    const { outcome, backOff } = await open(answer)
    assert.equal(await outcome(), expected)
    assert.equal(backOff.waitMs(them) > 0, isLeftAlone)
    if (isLeftAlone) assert.equal(await outcome(), 'backing-off')
  })
}

test('how long a server wants to be left alone is told, and kept to where it is down', async () => {
  const { client, backOff, stage } = await open(() => ({
    status: 429,
    headers: { 'retry-after': '120' },
    body: '{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":5}',
  }))
  const failure = async () =>
    await client.call(them, put, request).then(
      () => assert.fail(),
      (error: unknown) => (error instanceof FederationError ? error : assert.fail()),
    )
  assert.equal((await failure()).retryAfterMs, 120_000)
  assert.equal(backOff.waitMs(them), 0)
  stage.answer = () => ({ status: 503, headers: { 'retry-after': '7200' } })
  assert.equal((await failure()).retryAfterMs, 7_200_000)
  assert.equal(backOff.waitMs(them), 7_200_000)
})

test('the next target is tried if one cannot be connected to, and only then', async () => {
  const { stage, outcome } = await open(({ hostname }) => {
    if (hostname === 'h1.test') throw new HttpFailure('connect', 'refused')
    return {}
  })
  stage.targets = [target('h1.test'), target('h2.test'), target('h3.test')]
  assert.equal(await outcome(), 'ok')
  assert.deepEqual(
    stage.asked.map(({ hostname }) => hostname),
    ['h1.test', 'h2.test'],
  )
  stage.answer = fails('timeout')
  assert.equal(await outcome(), 'unreachable')
  assert.equal(stage.asked.length, 3)
})

test('a name that leads nowhere, and a server we do not federate with', async () => {
  const { stage, outcome, backOff } = await open(() => ({}))
  assert.equal(await outcome({}, 'denied.test' as ServerName), 'unreachable')
  stage.targets = []
  assert.equal(await outcome(), 'unreachable')
  assert.equal(backOff.failing(them)?.reason, 'no such name')
  assert.equal(stage.asked.length, 0)
})

test('pauses double from 15 seconds to six hours, and end with a sign of life', async () => {
  const { time, stage, outcome, backOff } = await open(fails('connect'))
  const returned: ServerName[] = []
  backOff.onReturn((server) => returned.push(server))
  const pauses: number[] = []
  for (let attempt = 0; attempt < 13; attempt += 1) {
    assert.equal(await outcome(), 'unreachable')
    pauses.push(backOff.waitMs(them) / 1000)
    await time.run(backOff.waitMs(them) - 1)
    assert.equal(await outcome(), 'backing-off')
    await time.run(1)
  }
  assert.deepEqual(pauses, [15, 30, 60, 120, 240, 480, 960, 1920, 3840, 7680, 15360, 21600, 21600])
  assert.equal(await outcome(), 'unreachable')
  stage.answer = () => ({})
  assert.equal(await outcome(), 'backing-off')
  assert.equal(await outcome({ despiteBackOff: true }), 'ok')
  assert.equal(backOff.failing(them), undefined)
  assert.deepEqual(returned, [them])
})

test('failures at the same time count once', async () => {
  const { outcome, backOff } = await open(fails('connect'))
  await Promise.all(Array.from({ length: 10 }, () => outcome()))
  assert.equal(backOff.failing(them)?.intervalMs, 15_000)
})

test('a restart forgets neither the pause nor its end', async () => {
  const { outcome, image, backOff } = await open(fails('connect'))
  await outcome()
  const sinceTs = backOff.failing(them)?.sinceTs
  const next = await open(() => ({}), image)
  assert.equal(await next.outcome(), 'backing-off')
  assert.equal(next.backOff.waitMs(them), 15_000)
  assert.deepEqual(next.backOff.failing(them)?.sinceTs, sinceTs)
  next.backOff.signOfLife(them)
  await next.time.run(0)
  const last = await open(() => ({}), image)
  assert.equal(last.backOff.failing(them), undefined)
})
