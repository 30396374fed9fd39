/**
 * Events that stick, across servers: who comes into a room is sent those of each server that is in it,
 * as long as they stick.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { SimulatedClient } from './simulation/client.ts'
import type { Answer } from './simulation/client-calls.ts'
import { World } from './simulation/world.ts'

const parameter = 'org.matrix.msc4354.sticky_duration_ms'
const minute = 60_000

interface Synced {
  readonly rooms?: {
    readonly join?: Readonly<Record<string, { readonly msc4354_sticky?: { events: Event[] } }>>
  }
}

interface Event {
  readonly content: { readonly body: string }
  readonly unsigned: { readonly msc4354_sticky_duration_ttl_ms: number }
}

async function scene(t: TestContext) {
  const world = new World(1)
  t.after(() => world.end())
  const [a, b, c] = [
    await world.addServer('alpha'),
    await world.addServer('beta'),
    await world.addServer('gamma'),
  ]
  const clients = [await a.register('alice'), await b.register('bob'), await c.register('carol')]
  const [alice, bob, carol] = clients as [SimulatedClient, SimulatedClient, SimulatedClient]
  const run = <T>(promise: Promise<T>) => world.time.await(promise)
  const visibility = {
    type: 'm.room.history_visibility',
    content: { history_visibility: 'joined' },
  }
  const room = await run(alice.createRoom({ preset: 'public_chat', initial_state: [visibility] }))
  await run(bob.join(room, [a.name]))
  const stick = async (client: SimulatedClient, body: string, ms: number) => {
    const path = `/v3/rooms/${encodeURIComponent(room)}/send/org.example.call/${body}`
    await run(client.call('PUT', `${path}?${parameter}=${ms}`, { body }))
  }
  /** What a client is told that has never asked before: bodies, and how many minutes they stick. */
  const told = async (client: SimulatedClient) => {
    const filter = encodeURIComponent('{"room":{"timeline":{"limit":1}}}')
    const answer: Answer = await run(client.call('GET', `/v3/sync?timeout=0&filter=${filter}`))
    const events = (answer as Synced).rooms?.join?.[room]?.msc4354_sticky?.events ?? []
    const shown = events.map(({ content, unsigned }) => [
      content.body,
      Math.round(unsigned.msc4354_sticky_duration_ttl_ms / minute),
    ])
    return Object.fromEntries(shown)
  }
  return { world, run, a, b, alice, bob, carol, room, stick, told }
}

test('a server that comes in is sent what sticks, by each server its own', async (t) => {
  const { world, run, a, alice, bob, carol, room, stick, told } = await scene(t)
  await stick(alice, 'of-alice', 30 * minute)
  await stick(alice, 'brief', 2 * minute)
  await stick(bob, 'of-bob', 20 * minute)
  for (let count = 0; count < 30; count += 1) await run(alice.send(room, `word ${count}`))
  await world.settle(5 * minute)
  assert.deepEqual(await told(bob), { 'of-alice': 25, 'of-bob': 15 })
  await run(carol.join(room, [a.name]))
  await world.settle(minute)
  await run(alice.send(room, 'welcome'))
  await world.settle(minute)
  assert.deepEqual(await told(carol), { 'of-alice': 23, 'of-bob': 13 })
  // The room is whole for all of them, and goes on.
  await run(carol.send(room, 'hello'))
  await world.settle(minute)
  for (const client of [alice, bob, carol]) {
    await run(client.sync({ limit: 5 }))
    assert.deepEqual(client.complaints, [])
  }
  await world.settle(30 * minute)
  assert.deepEqual(await told(carol), {})
})

test('a server that was away is sent what sticks still', async (t) => {
  const { world, run, a, b, alice, bob, room, stick, told } = await scene(t)
  world.partition([a], [b])
  await stick(alice, 'while-away', 60 * minute)
  for (let count = 0; count < 30; count += 1) await run(alice.send(room, `word ${count}`))
  await world.settle(10 * minute)
  assert.deepEqual(await told(bob), {})
  world.heal()
  await world.settle(20 * minute)
  assert.deepEqual(await told(bob), { 'while-away': 30 })
})
