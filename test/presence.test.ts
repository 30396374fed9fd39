/**
 * Presence between whole servers.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { UserId } from '../src/protocol/identifiers/ids.ts'
import type { SimulatedClient } from './simulation/client.ts'
import type { Answer } from './simulation/client-calls.ts'
import { World } from './simulation/world.ts'

async function twoServers(shared = true) {
  const world = new World(1)
  const settings = 'presence: true'
  const [a, b] = [
    await world.addServer('a', { settings }),
    await world.addServer('b', { settings }),
  ]
  const [alice, bob] = [await a.register('alice'), await b.register('bob')]
  const wait = <T>(promise: Promise<T>) => world.time.await(promise)
  if (shared) {
    const roomId = await wait(alice.createRoom({ preset: 'public_chat' }))
    await wait(bob.join(roomId, [a.name]))
  }
  const status = (user: SimulatedClient) => `/v3/presence/${encodeURIComponent(user.userId)}/status`
  const set = async (user: SimulatedClient, body: Answer) =>
    await wait(user.call('PUT', status(user), body))
  const of = async (asker: SimulatedClient, user: SimulatedClient) =>
    await wait(asker.call('GET', status(user)))
  return { world, a, b, alice, bob, wait, set, of }
}

test('users of another server are seen, as long as it speaks of them', async () => {
  const { world, a, alice, bob, set, of, wait } = await twoServers()
  await set(bob, { presence: 'online' })
  await set(alice, { presence: 'online', status_msg: 'hi' })
  await world.settle(5_000)
  const { last_active_ago, ...rest } = await of(bob, alice)
  assert.deepEqual(rest, { presence: 'online', status_msg: 'hi', currently_active: true })
  assert.ok(Number(last_active_ago) >= 4_000, String(last_active_ago))
  const { presence } = await wait(bob.call('GET', '/v3/sync?set_presence=offline'))
  const [event] = (presence as { events: { sender: string; type: string }[] }).events
  assert.deepEqual([event?.sender, event?.type], [alice.userId, 'm.presence'])
  await world.settle(20_000)
  await set(alice, { presence: 'offline' })
  await world.settle(5_000)
  assert.equal((await of(bob, alice)).presence, 'offline')
  await world.settle(20_000)
  await set(alice, { presence: 'online' })
  await world.settle(5_000)
  a.crash()
  assert.equal((await of(bob, alice)).presence, 'online')
  await world.settle(36 * 60_000)
  assert.equal((await of(bob, alice)).presence, 'offline')
  await world.end()
})

test('who comes to share a room is told at once who is there, and tells who came', async () => {
  const { world, alice, bob, a, set, of, wait } = await twoServers(false)
  await set(alice, { presence: 'online', status_msg: 'here' })
  await set(bob, { presence: 'online', status_msg: 'new' })
  await world.settle(60_000)
  const roomId = await wait(alice.createRoom({ preset: 'public_chat' }))
  await wait(bob.join(roomId, [a.name]))
  await world.settle(5_000)
  for (const [asker, user, status_msg] of [
    [bob, alice, 'here'],
    [alice, bob, 'new'],
  ] as const) {
    const seen = await of(asker, user)
    assert.deepEqual([seen.presence, seen.status_msg], ['online', status_msg])
  }
  // Another of this server is told of by the next one who comes, to a server that is there already.
  const carol = await a.register('carol')
  await set(carol, { presence: 'online' })
  await world.settle(60_000)
  await wait(carol.join(roomId, []))
  await world.settle(5_000)
  assert.equal((await of(bob, carol)).presence, 'online')
  await world.end()
})

test('servers without a common room are told nothing', async () => {
  const { world, alice, bob, set } = await twoServers(false)
  const edus: string[] = []
  const { onRequest } = world.network
  world.network.onRequest = (from, to, request) => {
    if (String(request.body).includes('m.presence')) edus.push(`${from} ${to}`)
    onRequest?.(from, to, request)
  }
  await set(alice, { presence: 'online' })
  await set(bob, { presence: 'online' })
  await world.settle(5_000)
  assert.deepEqual(edus, [])
  await world.end()
})

test('a server is believed of its own users only, who share a room with somebody here', async () => {
  const { world, a, b, alice, bob, set, wait } = await twoServers()
  await set(bob, { presence: 'online' })
  await world.settle(5_000)
  const { presence } = b.running.server
  const carol: UserId = `@carol:${a.name}`
  const push = [
    { user_id: alice.userId, presence: 'unavailable', last_active_ago: 5_000 },
    { user_id: carol, presence: 'online', last_active_ago: 0 },
    { user_id: bob.userId, presence: 'offline', last_active_ago: 0 },
    { user_id: 'x', presence: 'online', last_active_ago: 0 },
    { user_id: alice.userId, presence: 'away', last_active_ago: 0 },
    null,
    7,
  ]
  await wait(presence.receive(a.running.server.serverName, { push }))
  await world.settle(2_000)
  assert.equal(presence.state(alice.userId as UserId)?.presence, 'unavailable')
  assert.equal(presence.state(carol), undefined)
  assert.equal(presence.state(bob.userId as UserId)?.presence, 'online')
  for (const bad of [{}, { push: 'x' }, { push: {} }, { push: [[[]]] }]) {
    await wait(presence.receive(a.running.server.serverName, bad))
  }
  // Of numbers that make no sense, and texts without end, what can be used is used.
  const odd = { presence: 'online', last_active_ago: -1, status_msg: 'x'.repeat(5_000) }
  await wait(
    presence.receive(a.running.server.serverName, { push: [{ user_id: alice.userId, ...odd }] }),
  )
  await world.settle(2_000)
  const state = presence.state(alice.userId as UserId)
  assert.deepEqual([state?.lastActiveTs, state?.statusMsg?.length], [undefined, 1_000])
  await world.end()
})
