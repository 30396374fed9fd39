/**
 * What clients are told of a room that was joined without most of its members, before these are known
 * and after.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { calmNetwork } from '../src/io/simulated/simulated-network.ts'
import type { SimulatedClient } from './simulation/client.ts'
import type { Answer } from './simulation/client-calls.ts'
import { World } from './simulation/world.ts'

interface RoomOfSync {
  readonly state: { readonly events: readonly Answer[] }
  readonly timeline: { readonly events: readonly Answer[]; readonly limited: boolean }
  readonly summary?: Answer
}

const lazy = JSON.stringify({ room: { state: { lazy_load_members: true } } })

async function scene(t: TestContext, events: readonly Answer[] = []) {
  const world = new World(1)
  t.after(() => world.end())
  const wait = <T>(promise: Promise<T>) => world.time.await(promise)
  const [a, b] = [await world.addServer('a'), await world.addServer('b')]
  const alice = await a.register('alice')
  const bob = await b.register('bob')
  const options = { preset: 'public_chat', name: 'The Hall', initial_state: events }
  const roomId = await wait(alice.createRoom(options))
  const guests: SimulatedClient[] = []
  for (const index of [1, 2, 3]) {
    const guest = await a.register(`guest${index}`)
    await wait(guest.join(roomId, []))
    guests.push(guest)
  }
  world.network.faults = {
    ...calmNetwork,
    isLost: ({ target }) => /federation.*\/state(_ids)?\//.test(target),
  }
  const path = `/v3/rooms/${encodeURIComponent(roomId)}`
  const sync = async (since: unknown, filter = '{}') => {
    const query = `filter=${encodeURIComponent(filter)}${since === undefined ? '' : `&since=${since}`}`
    const answer = await wait(bob.call('GET', `/v3/sync?${query}`))
    const joined = (answer.rooms as { join?: Record<string, RoomOfSync> } | undefined)?.join
    return { next: answer.next_batch, room: joined?.[roomId] }
  }
  const complete = async () => {
    world.network.faults = calmNetwork
    await world.settle(400_000)
    assert.deepEqual(await b.running.server.rooms.partialRooms(), [])
  }
  const members = async (query = '') => {
    const { chunk } = await wait(bob.call('GET', `${path}/members${query}`))
    return (chunk as Answer[]).map(({ state_key }) => state_key).toSorted()
  }
  const all = [alice, bob, ...guests].map(({ userId }) => userId).toSorted()
  return { world, wait, alice, bob, guests, roomId, path, sync, complete, members, all }
}

const membersIn = (room: RoomOfSync | undefined) =>
  (room?.state.events ?? [])
    .filter(({ type }) => type === 'm.room.member')
    .map(({ state_key }) => state_key)
    .toSorted()

test('members that become known are given as state, and the timeline has neither gap nor repeat', async (t) => {
  const { wait, alice, bob, roomId, sync, complete, members, all, path } = await scene(t)
  const start = await sync(undefined)
  await wait(bob.join(roomId, ['a.test:8448']))
  const joined = await sync(start.next)
  assert.deepEqual(membersIn(joined.room), [])
  assert.equal(joined.room?.timeline.events.at(-1)?.state_key, bob.userId)
  const lazily = await sync(start.next, lazy)
  assert.deepEqual(await members(), [bob.userId])

  const said = await wait(alice.send(roomId, 'hi'))
  const heard = await sync(joined.next)
  // By who speaks, a member is known at once.
  assert.deepEqual(membersIn(heard.room), [alice.userId])
  assert.deepEqual(
    heard.room?.timeline.events.map(({ event_id }) => event_id),
    [said],
  )

  await complete()
  const whole = await sync(heard.next)
  assert.deepEqual(
    membersIn(whole.room),
    all.filter((id) => id !== bob.userId && id !== alice.userId),
  )
  assert.deepEqual(whole.room?.timeline.events, [])
  assert.equal(whole.room?.timeline.limited, false)
  assert.equal(whole.room?.summary?.['m.joined_member_count'], all.length)
  const lazilyWhole = await sync(lazily.next, lazy)
  assert.deepEqual(membersIn(lazilyWhole.room), [alice.userId])
  assert.deepEqual(await members(), all)
  // A client asks for the members as of what it has seen, which may be before they were known.
  assert.deepEqual(await members(`?at=${joined.next}`), all)
  const { joined: found } = await wait(bob.call('GET', `${path}/joined_members`))
  assert.deepEqual(Object.keys(found as object).toSorted(), all)
})

test('who loads members lazily is given all that become known of an encrypted room', async (t) => {
  const content = { algorithm: 'm.megolm.v1.aes-sha2' }
  const encryption = { type: 'm.room.encryption', state_key: '', content }
  const { world, wait, bob, roomId, sync, complete, members, all } = await scene(t, [encryption])
  await wait(bob.join(roomId, ['a.test:8448']))
  const first = await sync(undefined, lazy)
  const before = world.time.elapsedMs
  // They are waited for, but not for ever.
  assert.deepEqual(await members(), [bob.userId])
  const waited = world.time.elapsedMs - before
  assert.ok(waited >= 10_000 && waited < 11_000, String(waited))
  await complete()
  const whole = await sync(first.next, lazy)
  assert.deepEqual(
    membersIn(whole.room),
    all.filter((id) => id !== bob.userId),
  )
  assert.deepEqual(await members(), all)
})
