import assert from 'node:assert/strict'
import { test } from 'node:test'
import { VirtualTime } from '#io/simulated/simulated-clock.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import * as t from '#schema/schema.ts'
import { endpoint } from './endpoint.ts'
import { createRateLimiter } from './rate-limit.ts'
import type { Requester } from './serve.ts'

const address = { remoteAddress: '10.0.0.1', session: undefined, origin: undefined }
const alice = { ...address, session: { userId: '@alice:a', deviceId: 'D', guest: false } } as const
const server = { ...address, origin: 'b' as ServerName }

test('everybody has buckets of their own, and operations of one name share one', async () => {
  const { take } = limiter()
  assert.deepEqual(await times(4, () => take('login', address)), [0, 0, 0, 2000])
  assert.equal(await take('login', { ...address, remoteAddress: '10.0.0.2' }), 0)
  assert.equal(await take('login', alice), 0)
  assert.ok((await take('register', address)) > 0)
  assert.equal(await take('other', address), 0)
  assert.deepEqual((await times(11, () => take('other', alice))).slice(9), [0, 100])
})

test('who has a network of IPv6 addresses is one', async () => {
  const { take } = limiter()
  const from = (remoteAddress: string) => take('login', { ...address, remoteAddress })
  assert.deepEqual(await times(4, () => from('2001:db8::1')), [0, 0, 0, 2000])
  assert.equal(await from('2001:db8::ffff:2'), 2000)
  assert.equal(await from('2001:db8:0:1::1'), 0)
})

test('servers have limits of their own, by name, and what is unlimited is so', async () => {
  const { take } = limiter()
  assert.deepEqual(await times(3, () => take('invite', server)), [0, 0, 10_000])
  assert.equal(await take('invite', { ...server, origin: 'c' as ServerName }), 0)
  assert.deepEqual((await times(21, () => take('login', server))).slice(19), [0, 50])
  assert.deepEqual(new Set(await times(100, () => take('send', server))), new Set([0]))
})

test('a server waits a second for its refusal, a user does not', async () => {
  const { take, time } = limiter()
  await times(3, () => take('login', address))
  await times(2, () => take('invite', server))
  assert.equal(time.elapsedMs, 0)
  assert.ok((await take('login', address)) > 0)
  assert.equal(time.elapsedMs, 0)
  assert.ok((await take('invite', server)) > 0)
  assert.equal(time.elapsedMs, 1000)
})

function times<T>(count: number, act: () => Promise<T>): Promise<T[]> {
  return Array.fromAsync({ length: count }, act)
}

/** Gives how long to wait, as the error tells; 0 if it is let through. */
function limiter() {
  const entry = { name: 'entry', perSecond: 0.5, burst: 3 }
  const invite = { name: 'invite', perSecond: 0.1, burst: 2 }
  const time = new VirtualTime()
  const limit = createRateLimiter(time.clock(), {
    ofClients: {
      byOperation: { login: entry, register: entry },
      otherwise: { perSecond: 10, burst: 10 },
    },
    ofServers: {
      byOperation: { invite, send: 'unlimited' },
      otherwise: { perSecond: 20, burst: 20 },
    },
  })
  const take = async (operationId: string, requester: Requester): Promise<number> => {
    const asked = endpoint({
      operationId,
      method: 'GET',
      path: '/',
      auth: 'none',
      response: t.json,
    })
    try {
      const refusing = limit(asked, requester)
      if (refusing !== undefined) await time.await(refusing)
      return 0
    } catch (error) {
      assert.ok(error instanceof MatrixError && error.status === 429)
      return Number(error.extra.retry_after_ms)
    }
  }
  return { take, time }
}
