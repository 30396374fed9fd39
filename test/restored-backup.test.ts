/**
 * A server whose database was put back from a backup, under clients and servers that know of more: what it
 * gave out since is not given out again, what it lost of rooms comes back, and all agree in the end.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { calmNetwork } from '../src/io/simulated/simulated-network.ts'
import type { RoomId } from '../src/protocol/identifiers/ids.ts'
import { type Body, type Device, type DeviceWorld, twoServers } from './device-world.ts'
import type { SimulatedServer } from './simulation/simulated-server.ts'

const dayMs = 86_400_000

/** Puts the last backup back, and starts. */
async function putBack({ world }: DeviceWorld, a: SimulatedServer): Promise<void> {
  await a.rollBack()
  await world.time.await(a.start())
  await world.settle()
}

async function say(device: Device, roomId: string, body: string): Promise<string> {
  const path = `/rooms/${encodeURIComponent(roomId)}/send/m.room.message/${encodeURIComponent(body)}`
  return (await device.put(path, { msgtype: 'm.text', body })).event_id
}

async function texts(device: Device, roomId: string): Promise<string[]> {
  const path = `/rooms/${encodeURIComponent(roomId)}/messages?dir=b&limit=100`
  const { chunk } = await device.get(path)
  return chunk
    .map(({ content }: { content: { body?: string } }) => content.body)
    .filter((body: string | undefined) => body !== undefined)
    .toReversed()
}

async function stateOf(device: Device, roomId: string): Promise<string[]> {
  const state = await device.get(`/rooms/${encodeURIComponent(roomId)}/state`)
  return state.map(({ event_id }: { event_id: string }) => event_id).toSorted()
}

test('what was lost of a room comes back from others, and clients are told the room anew', async (t) => {
  const { world, a, alice, bob } = await twoServers(t)
  const roomId = await world.sharedRoom(alice, bob)
  const lonely = (await alice.post('/createRoom', { name: 'alone' })).room_id
  await say(alice, roomId, 'before')
  await alice.sync()
  a.backUp()
  const topic = `/rooms/${encodeURIComponent(roomId)}/state/m.room.topic`
  const own = await say(alice, roomId, 'lost by a')
  await alice.put(topic, { topic: 'lost, too' })
  await say(alice, lonely, 'lost for good')
  await say(bob, roomId, 'lost at a')
  const last = await alice.sync()
  assert.equal(last.rooms.join[roomId].timeline.events.length, 3)

  await putBack(world, a)
  assert.deepEqual(await texts(alice, roomId), ['before', 'lost by a', 'lost at a'])
  assert.deepEqual(await texts(alice, lonely), [])
  assert.deepEqual(await stateOf(alice, roomId), await stateOf(bob, roomId))
  // The client knows of what is not there any more, so it is told of all its rooms as of new ones.
  const { rooms, next_batch, device_lists } = await alice.sync()
  assert.deepEqual(Object.keys(rooms.join).toSorted(), [roomId, lonely].toSorted())
  for (const { timeline } of Object.values<{ timeline: { limited: boolean } }>(rooms.join)) {
    assert.equal(timeline.limited, true)
  }
  assert.ok(device_lists.changed.includes(bob.userId))
  const { timeline, state } = rooms.join[roomId]
  const shown = [...state.events, ...timeline.events].map(({ event_id }) => event_id)
  assert.equal(shown.filter((id) => id === own).length, 1)
  assert.ok(streamOf(next_batch) > streamOf(last.next_batch))
  const again = await alice.sync()
  assert.equal(again.rooms?.join, undefined)

  await say(alice, roomId, 'after')
  await world.world.settle(30_000)
  assert.deepEqual((await texts(bob, roomId)).toSorted(), (await texts(alice, roomId)).toSorted())
  assert.equal((await texts(bob, roomId)).at(-1), 'after')
  assert.deepEqual(await stateOf(alice, roomId), await stateOf(bob, roomId))
})

function streamOf(token: string): number {
  return Number(/^s(\d+)/.exec(token)?.[1])
}

/**
 * Alice comes into a room through a server, which puts a backup back before it has told her who is there.
 * Whether she had been in it before: then all that is lost is that she left and came back.
 */
async function joinedAndForgotten(
  t: TestContext,
  { room_version, before }: { readonly room_version: string; readonly before: boolean },
) {
  const two = await twoServers(t)
  const { world, a, b, alice, bob } = two
  const { time, network } = world.world
  const carol = await world.register(b, 'carol')
  const options = { preset: 'public_chat', name: 'The Hall', room_version }
  const roomId: string = (await bob.post('/createRoom', options)).room_id
  if (before) await alice.join(roomId, b)
  await carol.join(roomId, b)
  await world.world.settle()
  b.backUp()
  if (before) await alice.leave(roomId)
  await world.world.settle()
  await say(bob, roomId, 'lost')
  const isLost = ({ target }: { target: string }) => /\/state(_ids)?\//.test(target)
  network.faults = { ...calmNetwork, isLost }
  await alice.join(roomId, b)
  const isPartial = async () => {
    const { rooms } = a.running.server
    return (await time.await(rooms.partialState(roomId as RoomId))) !== undefined
  }
  assert.ok(await isPartial())
  await putBack(world, b)
  network.faults = calmNetwork
  await say(alice, roomId, 'I am back')
  await world.world.settle(dayMs)
  return { ...two, carol, roomId, isPartial }
}

for (const room_version of ['1', '7', '11', '12']) {
  test(`version ${room_version}: who came back through a server that lost that, before they knew all members, goes on with it`, async (t) => {
    const it = await joinedAndForgotten(t, { room_version, before: true })
    const { world, alice, bob, carol, roomId, isPartial } = it
    assert.equal(await isPartial(), false)
    assert.deepEqual(await texts(bob, roomId), ['I am back'])
    await say(carol, roomId, 'welcome')
    await world.world.settle()
    await say(alice, roomId, 'hello')
    await world.world.settle()
    const said = ['I am back', 'welcome', 'hello']
    assert.deepEqual(await texts(bob, roomId), said)
    assert.deepEqual((await texts(alice, roomId)).slice(-3), said)
    assert.deepEqual(await stateOf(alice, roomId), await stateOf(bob, roomId))
  })
}

test('who came into a room for the first time so comes into it when they join once more', async (t) => {
  const it = await joinedAndForgotten(t, { room_version: '11', before: false })
  const { world, b, alice, bob, roomId, isPartial } = it
  // Whoever is there is not known here, and there nobody knows that she is.
  assert.equal(await isPartial(), true)
  await alice.leave(roomId)
  await alice.join(roomId, b)
  await world.world.settle()
  assert.equal(await isPartial(), false)
  await say(bob, roomId, 'welcome')
  await world.world.settle()
  await say(alice, roomId, 'hello')
  await world.world.settle(dayMs)
  const said = ['I am back', 'welcome', 'hello'].toSorted()
  assert.deepEqual((await texts(bob, roomId)).toSorted(), said)
  assert.deepEqual((await texts(alice, roomId)).toSorted(), said)
  assert.deepEqual(await stateOf(alice, roomId), await stateOf(bob, roomId))
})

test('no position of the stream is given out twice, however often a backup is put back', async (t) => {
  const { world, a, alice, bob } = await twoServers(t)
  const { time } = world.world
  const roomId = await world.sharedRoom(alice, bob)
  a.backUp()
  const reached: number[] = [streamOf((await alice.sync()).next_batch)]
  for (let life = 0; life < 3; life += 1) {
    // Each start reserves more positions than are used.
    for (let starts = 0; starts < 3; starts += 1) {
      await say(alice, roomId, `life ${life}, start ${starts}`)
      reached.push(streamOf((await alice.sync()).next_batch))
      a.crash()
      await time.await(a.start())
    }
    await putBack(world, a)
    reached.push(streamOf((await alice.sync()).next_batch))
  }
  assert.deepEqual(
    reached,
    reached.toSorted((one, other) => one - other),
  )
  assert.equal(new Set(reached).size, reached.length)
})

test('nothing is missed where the clock goes back between two times', async (t) => {
  const { world, a, alice, bob } = await twoServers(t)
  const roomId = await world.sharedRoom(alice, bob)
  a.backUp()
  await putBack(world, a)
  await alice.sync()
  a.skewMs -= 7_200_000
  await putBack(world, a)
  await bob.send({ [alice.userId]: { D1: { text: 'come' } } })
  await say(bob, roomId, 'said')
  await world.world.settle()
  const { rooms, to_device } = await alice.sync()
  assert.deepEqual(
    to_device.events.map(({ content }: { content: object }) => content),
    [{ text: 'come' }],
  )
  const shown = rooms.join[roomId].timeline.events.map(({ content }: Body) => content.body)
  assert.equal(shown.at(-1), 'said')
})

test('a one-time key that may have been given to somebody is given to nobody', async (t) => {
  const { world, a, alice, bob } = await twoServers(t)
  await world.sharedRoom(alice, bob)
  const one_time_keys = Object.fromEntries(
    ['A', 'B', 'C'].map((id) => [`signed_curve25519:${id}`, { key: `key ${id}`, signatures: {} }]),
  )
  const fallback_keys = { 'signed_curve25519:F': { key: 'key F', fallback: true, signatures: {} } }
  await alice.upload('k', { one_time_keys, fallback_keys })
  const claim = async () => {
    const wanted = { one_time_keys: { [alice.userId]: { D1: 'signed_curve25519' } } }
    const answer = await bob.post('/keys/claim', wanted)
    const [id] = Object.keys(answer.one_time_keys[alice.userId]?.D1 ?? {})
    return id
  }
  a.backUp()
  assert.equal(await claim(), 'signed_curve25519:A')
  await putBack(world, a)
  assert.equal(await claim(), 'signed_curve25519:F')
  const { device_one_time_keys_count: counts, device_unused_fallback_key_types: unused } =
    await alice.sync()
  assert.deepEqual(counts, { signed_curve25519: 0 })
  assert.deepEqual(unused, [])
  // A client that tries again what it has uploaded before brings none of them back.
  await alice.upload('k', { one_time_keys })
  assert.equal(await claim(), 'signed_curve25519:F')
  const fresh = { 'signed_curve25519:D': { key: 'key D', signatures: {} } }
  await alice.upload('k', { one_time_keys: fresh })
  assert.equal(await claim(), 'signed_curve25519:D')
})

test('servers forget devices that are lost, and learn of those they were not told of', async (t) => {
  const { world, a, b, alice, bob } = await twoServers(t)
  await alice.upload('a1')
  await bob.upload('b1')
  await world.sharedRoom(alice, bob)
  assert.deepEqual(await bob.keysOf(alice.userId), { D1: 'a1' })
  assert.deepEqual(await alice.keysOf(bob.userId), { D1: 'b1' })
  await bob.sync()
  a.backUp()
  const lost = await world.login(alice, 'D2')
  await lost.upload('a2')
  const other = await world.login(bob, 'D2')
  await other.upload('b2')
  await world.world.settle()
  assert.deepEqual(await bob.keysOf(alice.userId), { D1: 'a1', D2: 'a2' })
  await bob.sync()

  await putBack(world, a)
  assert.ok((await bob.changed()).includes(alice.userId))
  assert.deepEqual(await bob.keysOf(alice.userId), { D1: 'a1' })
  assert.deepEqual(await alice.keysOf(bob.userId), { D1: 'b1', D2: 'b2' })
  assert.equal((await lost.ask('GET', '/account/whoami')).status, 401)
  // It goes on from there.
  const next = await world.login(alice, 'D3')
  await next.upload('a3')
  await world.world.settle()
  assert.deepEqual(await bob.keysOf(alice.userId), { D1: 'a1', D3: 'a3' })
  assert.equal(b.isUp, true)
})

test('messages to devices go on after it, and come once', async (t) => {
  const { world, a, alice, bob } = await twoServers(t)
  await world.sharedRoom(alice, bob)
  const received = async (device: Device) =>
    (await device.sync()).to_device.events.map(({ content }: { content: object }) => content)
  const tell = async (from: Device, to: Device, text: string) => {
    await from.send({ [to.userId]: { D1: { text } } })
    await world.world.settle(10_000)
  }
  a.backUp()
  await tell(alice, bob, 'one')
  await tell(bob, alice, 'two')
  assert.deepEqual(await received(alice), [{ text: 'two' }])
  await putBack(world, a)
  for (const text of ['three', 'four']) await tell(alice, bob, text)
  await tell(bob, alice, 'five')
  assert.deepEqual(await received(bob), [{ text: 'one' }, { text: 'three' }, { text: 'four' }])
  assert.deepEqual(await received(alice), [{ text: 'five' }])
})

test('sliding sync begins anew, and backups of keys get no version that was given', async (t) => {
  const { world, a } = await twoServers(t)
  const carol = await a.register('carol')
  const { time } = world.world
  const call = (path: string, body: object) => time.await(carol.call('POST', path, body))
  const slide = (pos: string) =>
    call(`/unstable/org.matrix.simplified_msc3575/sync?timeout=0${pos}`, {
      lists: { all: { ranges: [[0, 9]], timeline_limit: 1, required_state: [] } },
    })
  const version = async () => {
    const body = { algorithm: 'm.megolm_backup.v1.curve25519-aes-sha2', auth_data: {} }
    return Number((await call('/v3/room_keys/version', body)).version)
  }
  await time.await(carol.createRoom({}))
  await version()
  a.backUp()
  const lost = await version()
  const { pos } = await slide('')
  await putBack(world, a)
  await assert.rejects(slide(`&pos=${pos}`), /M_UNKNOWN_POS/)
  assert.notEqual((await slide('')).pos, pos)
  assert.ok((await version()) > lost)
})
