import assert from 'node:assert/strict'
import { test } from 'node:test'
import { VirtualTime } from '#io/simulated/simulated-clock.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import * as t from '#schema/schema.ts'
import { endpoint } from './endpoint.ts'
import { createRateLimiter } from './rate-limit.ts'
import type { Requester } from './serve.ts'

const address = { remoteAddress: '10.0.0.1', session: undefined, origin: undefined }
const alice = { ...address, session: { userId: '@alice:a', deviceId: 'D', guest: false } } as const
const server = { ...address, origin: 'b' as ServerName }

test('everybody has buckets of their own, and operations of one name share one', () => {
  const { take } = limiter()
  assert.deepEqual(
    times(4, () => take('login', address)),
    [0, 0, 0, 2000],
  )
  assert.equal(take('login', { ...address, remoteAddress: '10.0.0.2' }), 0)
  assert.equal(take('login', alice), 0)
  assert.ok(take('register', address) > 0)
  assert.equal(take('other', address), 0)
  assert.deepEqual(times(11, () => take('other', alice)).slice(9), [0, 100])
})

test('who has a network of IPv6 addresses is one', () => {
  const { take } = limiter()
  const from = (remoteAddress: string) => take('login', { ...address, remoteAddress })
  assert.deepEqual(
    times(4, () => from('2001:db8::1')),
    [0, 0, 0, 2000],
  )
  assert.equal(from('2001:db8::ffff:2'), 2000)
  assert.equal(from('2001:db8:0:1::1'), 0)
})

test('servers have limits of their own, by name, and what is unlimited is so', () => {
  const { take } = limiter()
  assert.deepEqual(
    times(3, () => take('invite', server)),
    [0, 0, 10_000],
  )
  assert.equal(take('invite', { ...server, origin: 'c' as ServerName }), 0)
  assert.deepEqual(times(21, () => take('login', server)).slice(19), [0, 50])
  assert.deepEqual(new Set(times(100, () => take('send', server))), new Set([0]))
})

test('whether a server would be refused is known without asking, and takes nothing', () => {
  const { take, wouldRefuse } = limiter()
  const wouldWait = () => wouldRefuse('invite')?.extra.retry_after_ms
  assert.deepEqual(times(3, wouldWait), [undefined, undefined, undefined])
  times(2, () => take('invite', server))
  assert.equal(wouldWait(), 10_000)
  assert.equal(wouldRefuse('send'), undefined)
})

function times<T>(count: number, act: () => T): T[] {
  return Array.from({ length: count }, act)
}

/** Gives how long to wait, as the error tells; 0 if it is let through. */
function limiter() {
  const entry = { name: 'entry', perSecond: 0.5, burst: 3 }
  const invite = { name: 'invite', perSecond: 0.1, burst: 2 }
  const limits = createRateLimiter(new VirtualTime().clock(), {
    ofClients: {
      byOperation: { login: entry, register: entry },
      otherwise: { perSecond: 10, burst: 10 },
    },
    ofServers: {
      byOperation: { invite, send: 'unlimited' },
      otherwise: { perSecond: 20, burst: 20 },
    },
  })
  const named = (operationId: string) =>
    endpoint({ operationId, method: 'GET', path: '/', auth: 'none', response: t.json })
  const take = (operationId: string, requester: Requester): number => {
    const refusal = limits.take(named(operationId), requester)
    if (refusal === undefined) return 0
    assert.equal(refusal.status, 429)
    return Number(refusal.extra.retry_after_ms)
  }
  return {
    take,
    wouldRefuse: (operationId: string) => limits.wouldRefuse(named(operationId), server.origin),
  }
}
