/**
 * Devices and keys while a room is joined whose members are not known yet: who is known to be in it is
 * kept an eye on, of all others nothing is kept, and all servers in the room are told of our devices.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { IncomingAnswer } from '../src/io/http.ts'
import { calmNetwork } from '../src/io/simulated/simulated-network.ts'
import { type Device, DeviceWorld } from './device-world.ts'

const content = { algorithm: 'm.megolm.v1.aes-sha2' }
const encryption = { type: 'm.room.encryption', state_key: '', content }

/** Alice's room on `a`, with Gus of `a` and Dora of `d`; Bob of `b` has joined it without its members. */
async function scene(t: TestContext) {
  const world = new DeviceWorld(t)
  const [a, b, d] = (await world.start('a', 'b', 'd')) as [Server, Server, Server]
  const alice = await world.register(a, 'alice')
  const gus = await world.register(a, 'gus')
  const bob = await world.register(b, 'bob')
  const dora = await world.register(d, 'dora')
  for (const device of [alice, gus, bob, dora]) await device.upload(`of ${device.userId}`)
  const { room_id: roomId } = await alice.post('/createRoom', {
    preset: 'public_chat',
    name: 'The Hall',
    initial_state: [encryption],
  })
  for (const device of [gus, dora]) await device.join(roomId, a)
  await world.world.settle(30_000)
  const { network } = world.world
  network.faults = {
    ...calmNetwork,
    isLost: ({ target }) => /federation.*\/state(_ids)?\//.test(target),
  }
  const complete = async () => {
    network.faults = calmNetwork
    network.interfere = undefined
    await world.world.settle(400_000)
    assert.deepEqual(await b.running.server.rooms.partialRooms(), [])
  }
  const join = async () => {
    await bob.join(roomId, a)
    assert.equal((await b.running.server.rooms.partialRooms()).length, 1)
    await bob.sync()
    await world.world.settle(5_000)
    world.asked.length = 0
  }
  let renamed = 0
  /** Renames a device, which its server tells others. */
  const rename = async (device: Device) => {
    renamed += 1
    await device.put(`/devices/${device.deviceId}`, { display_name: `name ${renamed}` })
    await world.world.settle(5_000)
  }
  let said = 0
  const say = async (device: Device) => {
    said += 1
    const path = `/rooms/${encodeURIComponent(roomId)}/send/m.room.message/s${said}`
    await device.put(path, { msgtype: 'm.text', body: `said ${said}` })
    await world.world.settle(5_000)
  }
  /** Whether the keys of a user are asked for at their server. */
  const isFetched = async (device: Device) => {
    world.asked.length = 0
    const keys = await bob.keysOf(device.userId)
    assert.deepEqual(keys, { [device.deviceId]: `of ${device.userId}` })
    return world.asked.some((line) => /\/user\/(keys\/query|devices)/.test(line))
  }
  const nameOf = (address = '') =>
    world.world.servers.find((server) => server.address === address)?.host ?? address
  /** Which servers Bob's server has told of his devices since this was last asked. */
  const told = () => {
    const lines = world.asked.filter(
      (line) => line.startsWith(`${b.address} > `) && line.includes('m.device_list_update'),
    )
    world.asked.length = 0
    return [...new Set(lines.map((line) => nameOf(line.split(' ')[2])))].toSorted()
  }
  return {
    world,
    a,
    b,
    d,
    alice,
    gus,
    bob,
    dora,
    roomId,
    join,
    complete,
    rename,
    say,
    isFetched,
    told,
  }
}

type Server = Awaited<ReturnType<DeviceWorld['start']>>[number]

test('the devices of members that are not known yet are not kept, and are told once they are', async (t) => {
  const { bob, gus, join, complete, rename, isFetched } = await scene(t)
  await join()
  for (let times = 0; times < 2; times += 1) assert.ok(await isFetched(gus))
  await rename(gus)
  await complete()
  assert.ok((await bob.changed()).includes(gus.userId))
  assert.ok(await isFetched(gus))
  assert.ok(!(await isFetched(gus)))
  await rename(gus)
  assert.ok((await bob.changed()).includes(gus.userId))
})

test('by what a member says their devices are watched from then on', async (t) => {
  const { bob, dora, join, complete, rename, say, isFetched } = await scene(t)
  await join()
  await say(dora)
  assert.ok((await bob.changed()).includes(dora.userId))
  assert.ok(await isFetched(dora))
  await rename(dora)
  assert.ok((await bob.changed()).includes(dora.userId))
  await complete()
  await isFetched(dora)
  assert.ok(!(await isFetched(dora)))
})

test('who comes into the room meanwhile is watched, until they leave', async (t) => {
  const { world, a, bob, roomId, join, complete, rename, isFetched } = await scene(t)
  await join()
  const erin = await world.register(a, 'erin')
  await erin.upload(`of ${erin.userId}`)
  await erin.join(roomId, a)
  await world.world.settle(5_000)
  assert.ok((await bob.changed()).includes(erin.userId))
  assert.ok(await isFetched(erin))
  assert.ok(!(await isFetched(erin)))
  await rename(erin)
  assert.ok((await bob.changed()).includes(erin.userId))
  await isFetched(erin)
  assert.ok(!(await isFetched(erin)))
  await erin.leave(roomId)
  await world.world.settle(5_000)
  assert.ok((await bob.sync()).device_lists.left.includes(erin.userId))
  for (let times = 0; times < 2; times += 1) assert.ok(await isFetched(erin))
  await complete()
  assert.ok(await isFetched(erin))
})

test('who leaves a room that is known in part keeps nothing of those who are in it', async (t) => {
  const { world, bob, dora, roomId, join, say, isFetched } = await scene(t)
  await join()
  await say(dora)
  assert.ok((await bob.changed()).includes(dora.userId))
  await isFetched(dora)
  assert.ok(!(await isFetched(dora)))
  await bob.leave(roomId)
  await world.world.settle(5_000)
  assert.ok((await bob.sync()).device_lists.left.includes(dora.userId))
  for (let times = 0; times < 2; times += 1) assert.ok(await isFetched(dora))
})

test('who turns out not to be in the room is watched no longer', async (t) => {
  const { world, a, b, d, alice, bob, dora, roomId, join, complete, isFetched } = await scene(t)
  world.world.partition([a], [d])
  const path = `/rooms/${encodeURIComponent(roomId)}`
  await alice.post(`${path}/ban`, { user_id: dora.userId })
  await join()
  // Dora has not heard that she is banned, nor has Bob's server, to which she comes beside Alice's.
  const content = { msgtype: 'm.text', body: 'I am still here' }
  const { event_id: eventId } = await dora.put(`${path}/send/m.room.message/x`, content)
  const { rooms } = d.running.server
  const stored = await world.world.time.await(rooms.event(roomId, eventId))
  const pdu = Buffer.from(stored?.pdu.bytes ?? []).toString()
  const body = Buffer.from(`{"edus":[],"origin":"${d.name}","origin_server_ts":1,"pdus":[${pdu}]}`)
  const { transactions } = b.running.server
  await world.world.time.await(transactions.receive(d.name as never, 'x', body))
  await world.world.settle(5_000)
  assert.ok((await bob.changed()).includes(dora.userId))
  await isFetched(dora)
  assert.ok(!(await isFetched(dora)))
  await complete()
  const { left } = (await bob.sync()).device_lists
  assert.ok(left.includes(dora.userId))
  for (let times = 0; times < 2; times += 1) assert.ok(await isFetched(dora))
})

test('a member of another room in common is watched there', async (t) => {
  const { world, b, bob, gus, join, rename, isFetched } = await scene(t)
  await join()
  const { room_id: other } = await bob.post('/createRoom', {
    preset: 'public_chat',
    initial_state: [encryption],
  })
  await gus.join(other, b)
  await world.world.settle(5_000)
  assert.ok((await bob.changed()).includes(gus.userId))
  assert.ok(await isFetched(gus))
  assert.ok(!(await isFetched(gus)))
  await rename(gus)
  assert.ok((await bob.changed()).includes(gus.userId))
})

test('all servers that are in the room are told of our devices, also those that come meanwhile', async (t) => {
  const { world, a, bob, roomId, join, complete, rename, told } = await scene(t)
  await join()
  await rename(bob)
  assert.deepEqual(told(), ['a.test', 'd.test'])
  const [e] = (await world.start('e')) as [Server]
  const erin = await world.register(e, 'erin')
  await erin.join(roomId, a)
  await world.world.settle(5_000)
  told()
  await rename(bob)
  assert.deepEqual(told(), ['a.test', 'd.test', 'e.test'])
  await complete()
  told()
  await rename(bob)
  assert.deepEqual(told(), ['a.test', 'd.test', 'e.test'])
})

test('servers of which all have left are told until the members are known, and no longer', async (t) => {
  const { world, bob, dora, roomId, join, complete, rename, told } = await scene(t)
  await join()
  await dora.leave(roomId)
  await world.world.settle(5_000)
  await rename(bob)
  assert.deepEqual(told(), ['a.test', 'd.test'])
  await complete()
  told()
  await rename(bob)
  assert.deepEqual(told(), ['a.test'])
})

for (const isGone of [false, true]) {
  const still = isGone ? ', also if they have left by then' : ''
  test(`servers that nobody has named are told when the members are known${still}`, async (t) => {
    const { world, a, bob, dora, roomId, join, complete, rename, told } = await scene(t)
    // The resident names itself alone.
    const { network } = world.world
    network.interfere = ({ request }) => {
      if (!request.target.includes('/send_join/')) return undefined
      network.interfere = undefined
      return { replace: (answer: IncomingAnswer) => withoutServers(answer, a.name) }
    }
    await join()
    await rename(bob)
    assert.deepEqual(told(), ['a.test'])
    if (isGone) {
      await dora.leave(roomId)
      await world.world.settle(5_000)
    }
    await complete()
    const now = told()
    if (!isGone) assert.ok(now.includes('d.test'), now.join())
    await rename(bob)
    assert.deepEqual(told(), isGone ? ['a.test'] : ['a.test', 'd.test'])
  })
}

function withoutServers(answer: IncomingAnswer, only: string): IncomingAnswer {
  const body = JSON.parse(Buffer.from(answer.body).toString())
  return { ...answer, body: Buffer.from(JSON.stringify({ ...body, servers_in_room: [only] })) }
}
