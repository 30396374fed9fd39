/**
 * The published room directory between two whole servers.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { World } from './simulation/world.ts'

async function twoServers(settings = '') {
  const world = new World(1)
  const a = await world.addServer('a', { settings })
  const b = await world.addServer('b')
  const [alice, bob] = [await a.register('alice'), await b.register('bob')]
  const wait = <T>(promise: Promise<T>) => world.time.await(promise)
  return { world, a, b, alice, bob, wait }
}

test("users see another server's rooms, page by page and by a filter", async () => {
  const { world, a, alice, bob, wait } = await twoServers()
  for (const name of ['one', 'two', 'three']) {
    await wait(alice.createRoom({ visibility: 'public', name }))
  }
  const server = `server=${encodeURIComponent(a.name)}`
  const first = await wait(bob.call('GET', `/v3/publicRooms?${server}&limit=2`))
  const firstChunk = first.chunk as { name: string }[]
  assert.equal(firstChunk.length, 2)
  assert.equal(first.total_room_count_estimate, 3)
  const next = `${server}&limit=2&since=${String(first.next_batch)}`
  const second = await wait(bob.call('GET', `/v3/publicRooms?${next}`))
  const seen = [...firstChunk, ...(second.chunk as { name: string }[])].map(({ name }) => name)
  assert.deepEqual(seen.toSorted(), ['one', 'three', 'two'])
  assert.equal(second.next_batch, undefined)

  const filter = { generic_search_term: 'THREE', room_types: [null] }
  const found = await wait(bob.call('POST', `/v3/publicRooms?${server}`, { filter }))
  assert.deepEqual(
    (found.chunk as { name: string }[]).map(({ name }) => name),
    ['three'],
  )
  // Nothing of bob's own server is among them.
  assert.deepEqual((await wait(bob.call('GET', '/v3/publicRooms'))).chunk, [])
  const bad = bob.call('GET', `/v3/publicRooms?${server}&since=x`)
  await assert.rejects(wait(bad), { status: 400, errcode: 'M_INVALID_PARAM' })
  await world.end()
})

for (const version of ['7', '10', '12']) {
  test(`version ${version}: the directory says of rooms how they are joined, here and to others`, async () => {
    const { world, a, alice, bob, wait } = await twoServers()
    const rules: Record<string, string> = { knock: 'knock', public: 'public', invite: 'invite' }
    if (version === '10') rules.knock_restricted = 'knock_restricted'
    const rooms = new Map<string, string>()
    for (const rule of Object.keys(rules)) {
      const options = { preset: rule === 'public' ? 'public_chat' : 'private_chat', name: rule }
      const roomId = await wait(alice.createRoom({ ...options, room_version: version }))
      if (rule !== 'public') {
        await wait(alice.setState(roomId, 'm.room.join_rules', { join_rule: rule, allow: [] }))
      }
      const path = `/v3/directory/list/room/${encodeURIComponent(roomId)}`
      await wait(alice.call('PUT', path, { visibility: 'public' }))
      rooms.set(roomId, rule)
    }
    const server = `?server=${encodeURIComponent(a.name)}`
    for (const [client, query] of [
      [alice, ''],
      [bob, server],
    ] as const) {
      const { chunk } = await wait(client.call('GET', `/v3/publicRooms${query}`))
      const listed = chunk as { room_id: string; join_rule?: string }[]
      assert.deepEqual(new Map(listed.map(({ room_id, join_rule }) => [room_id, join_rule])), rooms)
    }
    await world.end()
  })
}

test('the same list is not asked for again within a moment', async () => {
  const { world, a, b, bob, wait } = await twoServers()
  const asked: string[] = []
  const { onRequest } = world.network
  world.network.onRequest = (from, to, request) => {
    if (to === a.name.split(':')[0] || from === b.address) asked.push(request.target)
    onRequest?.(from, to, request)
  }
  const target = `/v3/publicRooms?server=${encodeURIComponent(a.name)}`
  const times = () => asked.filter((one) => one.startsWith('/_matrix/federation/v1/public')).length
  await Promise.all([wait(bob.call('GET', target)), wait(bob.call('GET', target))])
  await wait(bob.call('GET', target))
  assert.equal(times(), 1)
  await world.settle(60_000)
  await wait(bob.call('GET', target))
  assert.equal(times(), 2)
  await world.end()
})

test('a directory may be kept from other servers', async () => {
  const settings = 'room_directory: {over_federation: false}'
  const { world, a, alice, bob, wait } = await twoServers(settings)
  await wait(alice.createRoom({ visibility: 'public', name: 'one' }))
  const target = `/v3/publicRooms?server=${encodeURIComponent(a.name)}`
  await assert.rejects(wait(bob.call('GET', target)), { status: 403, errcode: 'M_FORBIDDEN' })
  assert.equal((await wait(alice.call('GET', target))).total_room_count_estimate, 1)
  await world.end()
})
