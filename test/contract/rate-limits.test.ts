/**
 * Limits of how often clients may ask: every operation of which the spec says that it is limited is,
 * by who asks or from where, and says when to come back. And of how often somebody may guess a password,
 * from wherever they do.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#rate-limiting
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { clientRateLimits } from '../../src/client-api/rate-limits.ts'
import { serverRateLimits } from '../../src/federation-api/rate-limits.ts'
import type { Endpoint } from '../../src/http/endpoint.ts'
import { createRateLimiter } from '../../src/http/rate-limit.ts'
import { VirtualTime } from '../../src/io/simulated/simulated-clock.ts'
import type { UserId } from '../../src/protocol/identifiers/ids.ts'
import type { MatrixError } from '../../src/protocol/matrix-error.ts'
import { type Answered, clientScene } from './client-scene.ts'
import { skip, specOperations } from './openapi.ts'
import { keyOf, ourEndpoints, servedOperations } from './our-endpoints.ts'

/** What others would see or lose if it was done often, whatever the spec says of it. */
const alsoLimited = [
  ...['login', 'register', 'changePassword', 'deactivateAccount', 'deleteDevice', 'deleteDevices'],
  ...['uploadCrossSigningKeys', 'sendMessage', 'setRoomStateWithKey', 'redactEvent', 'createRoom'],
  ...[
    'inviteUser',
    'joinRoom',
    'knockRoom',
    'uploadKeys',
    'queryKeys',
    'claimKeys',
    'sendToDevice',
  ],
  ...['uploadContent', 'createContent', 'search', 'getRoomEvents', 'setPresence', 'postPusher'],
]

async function limitedEndpoints(): Promise<Endpoint[]> {
  const served = await servedOperations()
  const described = new Set(
    specOperations()
      .filter((one) => one.otherStatuses.includes(429))
      .map((one) => keyOf(one)),
  )
  return (await ourEndpoints())
    .filter(({ api, endpoint }) => api === 'client-server' && served.has(keyOf(endpoint)))
    .map(({ endpoint }) => endpoint)
    .filter((one) => described.has(keyOf(one)) || alsoLimited.includes(one.operationId))
}

const isLimited = ({ status, body }: Answered) =>
  status === 429 && body.errcode === 'M_LIMIT_EXCEEDED'

/** What is wrong with how an answer says when to come back, if anything. */
function wrongWait({ headers, body }: Answered): string | undefined {
  const waitMs = Number(body.retry_after_ms)
  if (!Number.isSafeInteger(waitMs) || waitMs <= 0) return `retry_after_ms is ${waitMs}`
  const seconds = headers['retry-after']
  return seconds === String(Math.ceil(waitMs / 1000)) ? undefined : `Retry-After is ${seconds}`
}

/** More than anybody is let ask at once, of anything. */
const enough = 600

type Ask = () => MatrixError | undefined

/** Asks until it is refused, and gives how long to wait; nothing if it never is. */
function exhaust(ask: Ask): number | undefined {
  for (let times = 0; times < enough; times += 1) {
    const waitMs = refusal(ask)
    if (waitMs !== undefined) return waitMs
  }
  return undefined
}

function refusal(ask: Ask): number | undefined {
  const error = ask()
  if (error === undefined) return undefined
  assert.deepEqual([error.status, error.errcode], [429, 'M_LIMIT_EXCEEDED'])
  return Number(error.extra.retry_after_ms)
}

test('what the spec says is limited is, by user or address', { skip }, async () => {
  const endpoints = await limitedEndpoints()
  const wrong: string[] = []
  for (const endpoint of endpoints) {
    const time = new VirtualTime()
    const limits = { ofClients: clientRateLimits, ofServers: serverRateLimits }
    const { take } = createRateLimiter(time.clock(), limits)
    const as = (name: string | undefined, remoteAddress: string) => () => {
      const session = { userId: `@${name}:a` as UserId, deviceId: 'D', guest: false }
      return take(endpoint, {
        remoteAddress,
        origin: undefined,
        session: name ? session : undefined,
      })
    }
    const askers: [Ask, Ask][] = []
    // A user is the same from everywhere, and others from there are not kept from asking.
    if (endpoint.auth !== 'none') askers.push([as('one', '10.0.0.1'), as('other', '10.0.0.1')])
    if (endpoint.auth !== 'user')
      askers.push([as(undefined, '10.0.0.2'), as(undefined, '10.0.0.3')])
    for (const [one, other] of askers) {
      const waitMs = exhaust(one)
      if (waitMs === undefined) {
        wrong.push(`${keyOf(endpoint)}: not limited`)
        continue
      }
      assert.ok(Number.isSafeInteger(waitMs) && waitMs > 0, `${keyOf(endpoint)}: ${waitMs}`)
      if (refusal(other) !== undefined) wrong.push(`${keyOf(endpoint)}: others are limited`)
      if (endpoint.auth !== 'none' && one === askers[0]?.[0]) {
        if (refusal(as('one', '10.0.0.9')) === undefined)
          wrong.push(`${keyOf(endpoint)}: elsewhere`)
      }
      await time.run(waitMs - 1)
      if (refusal(one) === undefined) wrong.push(`${keyOf(endpoint)}: too soon`)
      await time.run(1)
      if (refusal(one) !== undefined) wrong.push(`${keyOf(endpoint)}: still, after the time told`)
    }
  }
  assert.deepEqual(wrong, [])
  assert.ok(endpoints.length > 60, `${endpoints.length} endpoints`)
})

test('who is limited is told when to come back, in the answer and in its head', async (t) => {
  const scene = await clientScene(t, 'rate_limits: true')
  const login = {
    type: 'm.login.password',
    password: 'x',
    identifier: { type: 'm.id.user', user: 'x' },
  }
  for (const [request, more] of [
    ['POST /_matrix/client/v3/login', { body: login }],
    ['POST /_matrix/client/v3/createRoom', { body: 'no JSON', token: scene.alice.token }],
  ] as const) {
    const asked = Array.from({ length: 60 }, () => scene.ask(request, more))
    const limited = (await Promise.all(asked)).filter(isLimited)
    assert.ok(limited.length > 0, request)
    assert.deepEqual(
      limited.flatMap((answer) => wrongWait(answer) ?? []),
      [],
    )
  }
})

test('passwords are guessed so often and no more, from wherever it is done', async (t) => {
  const scene = await clientScene(t)
  const bob = { type: 'm.id.user', user: 'bob' }
  const login = (user: object, password: string, from: string) =>
    scene.ask('POST /_matrix/client/v3/login', {
      body: { type: 'm.login.password', identifier: user, password },
      from,
    })
  const guesses = async (user: object) =>
    await Promise.all(
      Array.from({ length: 120 }, (_, index) => login(user, `guess ${index}`, `10.4.0.${index}`)),
    )
  const tried = await guesses(bob)
  const limited = tried.filter(isLimited)
  const failed = tried.filter(({ status }) => status === 403)
  assert.equal(failed.length + limited.length, tried.length)
  assert.ok(limited.length > 0 && failed.length >= 20, `${failed.length} guesses`)
  assert.deepEqual(
    limited.flatMap((answer) => wrongWait(answer) ?? []),
    [],
  )
  // Nor is the right one taken now, or nothing would be won; and whose session it is goes on.
  assert.ok(isLimited(await login(bob, scene.password, '10.4.1.1')))
  const { token } = scene.bob
  assert.equal((await scene.ask('GET /_matrix/client/v3/account/whoami', { token })).status, 200)
  // A user that there is not is answered alike, and others not at all.
  const ofNobody = (await guesses({ type: 'm.id.user', user: 'nobody' })).map(
    ({ status }) => status,
  )
  assert.deepEqual(ofNobody.toSorted(), tried.map(({ status }) => status).toSorted())
  const alice = { type: 'm.id.user', user: 'alice' }
  assert.equal((await login(alice, scene.password, '10.4.1.1')).status, 200)
  const longest = Math.max(...limited.map(({ body }) => Number(body.retry_after_ms)))
  await scene.world.time.run(longest)
  assert.equal((await login(bob, scene.password, '10.4.1.1')).status, 200)
})
