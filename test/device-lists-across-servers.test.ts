/**
 * Lists of devices between whole servers: who is told of a change and when, how a list is kept up and
 * when it is forgotten, and that nobody is left out when servers crash or the way between them fails.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sql } from '../src/storage/database.ts'
import { type Device, rowsOf, twoServers } from './device-world.ts'
import type { SimulatedServer } from './simulation/simulated-server.ts'

const minuteMs = 60_000

test('changes of devices are told, and followed without asking', async (t) => {
  const { world, alice, bob } = await twoServers(t)
  await alice.upload('one')
  await world.sharedRoom(bob, alice)
  await bob.sync()
  assert.deepEqual(await bob.keysOf(alice.userId), { D1: 'one' })
  world.askedFor()
  const phone = await world.login(alice, 'D2')
  await phone.upload('two')
  await world.world.settle(minuteMs)
  assert.deepEqual(await bob.changed(), [alice.userId])
  assert.deepEqual(await bob.keysOf(alice.userId), { D1: 'one', D2: 'two' })
  await alice.upload('three')
  await phone.put('/devices/D2', { display_name: 'Phone' })
  await world.world.settle(minuteMs)
  assert.deepEqual(await bob.changed(), [alice.userId])
  const { device_keys } = await bob.post('/keys/query', { device_keys: { [alice.userId]: [] } })
  assert.deepEqual(device_keys[alice.userId].D1.keys, { 'ed25519:D1': 'three' })
  assert.deepEqual(device_keys[alice.userId].D2.unsigned, { device_display_name: 'Phone' })
  await phone.post('/logout')
  await world.world.settle(minuteMs)
  assert.deepEqual(await bob.changed(), [alice.userId])
  assert.deepEqual(await bob.keysOf(alice.userId), { D1: 'three' })
  assert.deepEqual(world.askedFor('/user/devices'), [])
})

test('after a missed change the whole list is fetched', async (t) => {
  const { world, a, b, alice, bob } = await twoServers(t)
  await alice.upload('one')
  await world.sharedRoom(bob, alice)
  assert.deepEqual(await bob.keysOf(alice.userId), { D1: 'one' })
  await bob.sync()
  world.world.partition([a], [b])
  await alice.upload('two')
  // Long enough for the transaction that fails to be made anew.
  await world.world.settle(10 * minuteMs)
  const { db } = a.running.server
  await world.world.time.await(db.write((tx) => tx.run(sql`DELETE FROM device_outbox`)))
  world.askedFor()
  world.world.heal()
  const phone = await world.login(alice, 'D2')
  await phone.upload('phone')
  await world.world.settle(20 * minuteMs)
  assert.equal(world.askedFor('/user/devices/').length, 1)
  assert.deepEqual(await bob.changed(), [alice.userId])
  assert.deepEqual(await bob.keysOf(alice.userId), { D1: 'two', D2: 'phone' })
  assert.deepEqual(world.askedFor('/user/'), [])
})

test('a list in doubt is given to nobody, and fetched as soon as that is possible', async (t) => {
  const { world, a, b, alice, bob } = await twoServers(t)
  await alice.upload('one')
  await world.sharedRoom(bob, alice)
  assert.deepEqual(await bob.keysOf(alice.userId), { D1: 'one' })
  await bob.sync()
  world.world.partition([a], [b])
  const update = { user_id: alice.userId, device_id: 'D7', stream_id: 10 ** 9, prev_id: [10 ** 8] }
  await world.hand(b, a, ['m.device_list_update', update])
  assert.deepEqual(await bob.changed(), [alice.userId])
  const query = { timeout: 1_000, device_keys: { [alice.userId]: [] } }
  const { failures, device_keys } = await bob.post('/keys/query', query)
  assert.deepEqual([Object.keys(failures), device_keys], [[a.name], {}])
  b.crash()
  await world.world.time.await(b.start())
  await world.world.settle(5 * minuteMs)
  world.world.heal()
  await world.world.settle(60 * minuteMs)
  // Who asked in vain is told to ask again.
  assert.deepEqual(await bob.changed(), [alice.userId])
  world.askedFor()
  assert.deepEqual(await bob.keysOf(alice.userId), { D1: 'one' })
  assert.deepEqual(world.askedFor('/user/'), [])
})

test('servers that come to share a room are told of the devices there', async (t) => {
  const { world, a, b, alice, bob } = await twoServers(t)
  const [c] = (await world.start('c')) as [SimulatedServer]
  const carol = await world.register(c, 'carol')
  const toldOf = (lines: string[], from: SimulatedServer, { userId }: Device, to: string) =>
    lines.filter((line) => {
      const isUpdate = line.includes('m.device_list_update') && line.includes(`"${userId}"`)
      return isUpdate && line.startsWith(`${from.address} > ${to}`)
    }).length
  for (const device of [alice, bob, carol]) await device.upload()
  world.askedFor()
  // Alice's room gets a new server; and Bob joins where a server is.
  const roomId = await world.sharedRoom(alice, bob)
  const first = world.askedFor('PUT /_matrix/federation/v1/send/')
  assert.equal(toldOf(first, a, alice, b.address), 1)
  assert.equal(toldOf(first, b, bob, a.address), 1)
  await carol.join(roomId, b)
  await world.world.settle(minuteMs)
  const second = world.askedFor('PUT /_matrix/federation/v1/send/')
  assert.equal(toldOf(second, a, alice, c.address), 1)
  assert.equal(toldOf(second, b, bob, c.address), 1)
  assert.equal(toldOf(second, c, carol, a.address), 1)
  assert.equal(toldOf(second, c, carol, b.address), 1)
  // Those who hear of the devices anyway are not told again.
  assert.equal(toldOf(second, a, alice, b.address), 0)
  await world.sharedRoom(bob, alice)
  const third = world.askedFor('m.device_list_update')
  assert.equal(toldOf(third, a, alice, b.address), 0)
})

test('a crash between joining and telling leaves nobody out', async (t) => {
  const { world, a, alice, bob } = await twoServers(t)
  for (const device of [alice, bob]) await device.upload()
  const roomId: string = (await bob.post('/createRoom', { preset: 'public_chat' })).room_id
  const { db } = a.running.server
  const lookedAt = await db.first<{ looked_at: number }>(sql`SELECT looked_at FROM encounters`)
  await alice.join(roomId, bob.server)
  await world.world.settle(minuteMs)
  world.askedFor()
  // As if the server had ended right after the join.
  await world.world.time.await(
    db.write((tx) => tx.run(sql`UPDATE encounters SET looked_at = ${lookedAt?.looked_at ?? 0}`)),
  )
  a.crash()
  await world.world.time.await(a.start())
  await world.world.settle(minuteMs)
  assert.equal(world.askedFor('m.device_list_update', alice.userId).length, 1)
})

for (const who of ['a server', 'a user of ours']) {
  test(`a crash before it was seen that ${who} was away for a while leaves nobody out`, async (t) => {
    const { world, a, alice, bob } = await twoServers(t)
    await alice.upload()
    const roomId = await world.sharedRoom(bob, alice)
    await world.world.settle(minuteMs)
    const { db } = a.running.server
    const lookedAt = await db.first<{ looked_at: number }>(sql`SELECT looked_at FROM encounters`)
    const away = who === 'a server' ? bob : alice
    await away.leave(roomId)
    await away.join(roomId, away === bob ? a : bob.server)
    await world.world.settle(minuteMs)
    world.askedFor()
    // As if the server had ended before it looked at either.
    await world.world.time.await(
      db.write((tx) => tx.run(sql`UPDATE encounters SET looked_at = ${lookedAt?.looked_at ?? 0}`)),
    )
    a.crash()
    await world.world.time.await(a.start())
    await world.world.settle(minuteMs)
    assert.equal(world.askedFor('m.device_list_update', alice.userId).length, 1)
  })
}

test('when the last shared room ends, the list is forgotten', async (t) => {
  const { world, b, alice, bob } = await twoServers(t)
  await alice.upload('one')
  const roomId = await world.sharedRoom(bob, alice)
  const other = await world.sharedRoom(bob, alice)
  await bob.keysOf(alice.userId)
  assert.equal(await rowsOf(b, 'remote_device_lists'), 1)
  await alice.leave(roomId)
  await world.world.settle(minuteMs)
  assert.equal(await rowsOf(b, 'remote_device_lists'), 1)
  await bob.leave(other)
  await world.world.settle(minuteMs)
  assert.equal(await rowsOf(b, 'remote_device_lists'), 0)
  await alice.upload('two')
  await world.world.settle(minuteMs)
  assert.deepEqual(await bob.keysOf(alice.userId), { D1: 'two' })
  await bob.join(other, alice.server)
  assert.deepEqual(await bob.keysOf(alice.userId), { D1: 'two' })
})

test('who left and came back before a client asked again may have other devices', async (t) => {
  const { world, a, b, alice, bob } = await twoServers(t)
  const carol = await world.register(b, 'carol')
  const roomId = await world.sharedRoom(alice, bob, carol)
  await alice.sync()
  await bob.leave(roomId)
  await world.world.settle(minuteMs)
  // As a client does that has not heard of it.
  assert.deepEqual(await alice.keysOf(bob.userId), {})
  world.world.partition([a], [b])
  await bob.join(roomId, b)
  await bob.upload('new')
  await world.world.settle(minuteMs)
  // What is new of devices goes first, when he is still a stranger here.
  world.world.heal()
  await world.world.settle(10 * minuteMs)
  assert.ok((await alice.changed()).includes(bob.userId))
  assert.deepEqual(await alice.keysOf(bob.userId), { D1: 'new' })
  // A new name is no coming back.
  for (const displayname of ['Bobby', 'Robert']) {
    await bob.put(`/profile/${bob.userId}/displayname`, { displayname })
  }
  await world.world.settle(minuteMs)
  assert.deepEqual(await alice.changed(), [])
})

test('who was put out, and by branches that met never was, may have other devices', async (t) => {
  const { world, a, b, alice, bob } = await twoServers(t)
  const carol = await world.register(b, 'carol')
  const roomId = await world.sharedRoom(alice, bob, carol)
  await bob.upload('old')
  await world.world.settle(minuteMs)
  assert.deepEqual(await alice.keysOf(bob.userId), { D1: 'old' })
  await alice.sync()
  world.world.partition([a], [b])
  await alice.post(`/rooms/${roomId}/kick`, { user_id: bob.userId })
  // What is new of devices goes first, when he is a stranger here.
  await bob.upload('new')
  await bob.put(`/profile/${bob.userId}/displayname`, { displayname: 'Bobby' })
  world.world.heal()
  await world.world.settle(10 * minuteMs)
  const members = await alice.get(`/rooms/${roomId}/joined_members`)
  assert.equal(members.joined[bob.userId].display_name, 'Bobby')
  assert.ok((await alice.changed()).includes(bob.userId))
  assert.deepEqual(await alice.keysOf(bob.userId), { D1: 'new' })
})
