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

test('a burst is let through, then the rate, and the wait that is told is enough', async () => {
  const { take, time } = limiter()
  assert.deepEqual(
    times(5, () => take('login', address)),
    [0, 0, 0, 2000, 2000],
  )
  await time.run(1999)
  assert.equal(take('login', address), 1)
  await time.run(1)
  assert.deepEqual(
    times(2, () => take('login', address)),
    [0, 2000],
  )
  await time.run(60_000)
  assert.deepEqual(
    times(4, () => take('login', address)),
    [0, 0, 0, 2000],
  )
})

test('everybody has buckets of their own, and operations of one name share one', () => {
  const { take } = limiter()
  times(3, () => take('login', address))
  assert.equal(take('login', { ...address, remoteAddress: '10.0.0.2' }), 0)
  assert.equal(take('login', alice), 0)
  assert.ok(take('register', address) > 0)
  assert.equal(take('other', address), 0)
  assert.deepEqual(times(11, () => take('other', alice)).slice(9), [0, 100])
})

test('servers are not limited here', () => {
  const { take } = limiter()
  const server = { ...address, origin: 'b' as ServerName }
  assert.deepEqual(new Set(times(50, () => take('login', server))), new Set([0]))
})

function times<T>(count: number, act: () => T): T[] {
  return Array.from({ length: count }, act)
}

function limiter() {
  const time = new VirtualTime()
  const entry = { name: 'entry', perSecond: 0.5, burst: 3 }
  const limit = createRateLimiter(time.clock(), {
    byOperation: { login: entry, register: entry },
    otherwise: { perSecond: 10, burst: 10 },
  })
  /** How long to wait, as the error tells; 0 if it is let through. */
  const take = (operationId: string, requester: Requester): number => {
    const asked = endpoint({
      operationId,
      method: 'GET',
      path: '/',
      auth: 'none',
      response: t.json,
    })
    try {
      limit(asked, requester)
      return 0
    } catch (error) {
      assert.ok(error instanceof MatrixError && error.status === 429)
      return Number(error.extra.retry_after_ms)
    }
  }
  return { take, time }
}
