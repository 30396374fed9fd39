/**
 * Cross-signing between whole servers: who is told of keys and signatures, who sees which, and what
 * becomes of it when something was missed or is made up.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sql } from '../src/storage/database.ts'
import { CrossSigner } from './cross-signer.ts'
import { type Body, type Device, DeviceWorld } from './device-world.ts'
import type { SimulatedServer } from './simulation/simulated-server.ts'

const minuteMs = 60_000

async function twoServers(t: ConstructorParameters<typeof DeviceWorld>[0]) {
  const world = new DeviceWorld(t)
  const [a, b] = (await world.start('a', 'b')) as [SimulatedServer, SimulatedServer]
  const alice = await signerOn(world, a, 'alice')
  const bob = await signerOn(world, b, 'bob')
  return { world, a, b, alice, bob }
}

async function signerOn(world: DeviceWorld, server: SimulatedServer, name: string) {
  const device = await world.register(server, name)
  const keys = new CrossSigner(device.userId)
  const deviceKeys = keys.deviceKeys(device.deviceId)
  await device.post('/keys/upload', { device_keys: deviceKeys })
  return { device, keys, deviceKeys, userId: device.userId }
}

type Signer = Awaited<ReturnType<typeof signerOn>>

const uploadKeys = ({ device, keys }: Signer) =>
  device.post('/keys/device_signing/upload', keys.upload)

const signOwnDevice = async ({ device, keys, deviceKeys, userId }: Signer) => {
  const signed = keys.sign(deviceKeys, 'self_signing')
  const { failures } = await device.post('/keys/signatures/upload', {
    [userId]: { [device.deviceId]: signed },
  })
  assert.deepEqual(failures, {})
  return signed
}

/** What a device is shown of users: their master keys, self-signing keys and first devices. */
async function shown(device: Device, ...userIds: string[]): Promise<Body> {
  const wanted = Object.fromEntries(userIds.map((userId) => [userId, []]))
  const answer = await device.post('/keys/query', { device_keys: wanted })
  assert.deepEqual(answer.failures, {})
  return answer
}

test('keys and signatures cross to those who share a room, without being asked for', async (t) => {
  const { world, alice, bob } = await twoServers(t)
  await world.sharedRoom(bob.device, alice.device)
  await bob.device.sync()
  await shown(bob.device, alice.userId)
  world.askedFor()
  await uploadKeys(alice)
  await world.world.settle(minuteMs)
  assert.deepEqual(await bob.device.changed(), [alice.userId])
  const keys = await shown(bob.device, alice.userId)
  assert.deepEqual(keys.master_keys, { [alice.userId]: alice.keys.key('master') })
  assert.deepEqual(keys.self_signing_keys, { [alice.userId]: alice.keys.key('self_signing') })
  assert.deepEqual(keys.user_signing_keys, {})
  const device = await signOwnDevice(alice)
  const master = alice.keys.sign(alice.keys.key('master'), 'device D1')
  const signed = { [alice.keys.publicKey('master')]: master }
  await alice.device.post('/keys/signatures/upload', { [alice.userId]: signed })
  await world.world.settle(minuteMs)
  assert.deepEqual(await bob.device.changed(), [alice.userId])
  const after = await shown(bob.device, alice.userId)
  assert.deepEqual(after.device_keys[alice.userId].D1, { ...device, unsigned: {} })
  assert.deepEqual(after.master_keys, { [alice.userId]: master })
  assert.deepEqual(world.askedFor('/user/'), [])
  // By then nothing of the user-signing key has left Alice's server.
  assert.deepEqual(world.askedFor(alice.keys.publicKey('user_signing')), [])
})

test('who comes later, or shares no room, is given the same by asking', async (t) => {
  const { world, alice, bob } = await twoServers(t)
  await uploadKeys(alice)
  const device = await signOwnDevice(alice)
  const isRight = (answer: Body) => {
    assert.deepEqual(answer.master_keys, { [alice.userId]: alice.keys.key('master') })
    assert.deepEqual(answer.self_signing_keys, { [alice.userId]: alice.keys.key('self_signing') })
    assert.deepEqual(answer.user_signing_keys, {})
    assert.deepEqual(answer.device_keys[alice.userId].D1.signatures, device.signatures)
  }
  isRight(await shown(bob.device, alice.userId))
  assert.equal(world.askedFor('/user/keys/query').length, 1)
  await world.sharedRoom(bob.device, alice.device)
  isRight(await shown(bob.device, alice.userId))
  assert.equal(world.askedFor('GET /_matrix/federation/v1/user/devices/').length, 1)
  isRight(await shown(bob.device, alice.userId))
  assert.deepEqual(world.askedFor('/user/'), [])
})

test('what one user signs of another, across servers, that user alone sees', async (t) => {
  const { world, alice, bob } = await twoServers(t)
  for (const user of [alice, bob]) await uploadKeys(user)
  const other = await world.register(bob.device.server, 'other')
  await world.sharedRoom(bob.device, alice.device)
  await world.world.settle(minuteMs)
  await bob.device.sync()
  await alice.device.sync()
  const master = bob.keys.sign(alice.keys.key('master'), 'user_signing')
  const forged = alice.keys.sign(alice.keys.key('master'), 'user_signing')
  const name = alice.keys.publicKey('master')
  const upload = (key: object) =>
    bob.device.post('/keys/signatures/upload', { [alice.userId]: { [name]: key } })
  const { failures } = await upload(forged)
  assert.equal(failures[alice.userId][name].errcode, 'M_INVALID_SIGNATURE')
  assert.deepEqual((await upload(master)).failures, {})
  await world.world.settle(minuteMs)
  assert.deepEqual(await bob.device.changed(), [alice.userId])
  assert.deepEqual(await alice.device.changed(), [])
  assert.deepEqual((await shown(bob.device, alice.userId)).master_keys[alice.userId], master)
  for (const device of [alice.device, other]) {
    const { master_keys } = await shown(device, alice.userId)
    assert.deepEqual(master_keys[alice.userId], alice.keys.key('master'))
  }
})

test('changes that happen while servers are apart arrive afterwards, also after a crash', async (t) => {
  const { world, a, b, alice, bob } = await twoServers(t)
  await world.sharedRoom(bob.device, alice.device)
  await shown(bob.device, alice.userId)
  await bob.device.sync()
  world.world.partition([a], [b])
  await uploadKeys(alice)
  await signOwnDevice(alice)
  await world.world.settle(minuteMs)
  a.crash()
  await world.world.time.await(a.start())
  world.world.heal()
  await world.world.settle(60 * minuteMs)
  assert.deepEqual(await bob.device.changed(), [alice.userId])
  const { master_keys } = await shown(bob.device, alice.userId)
  assert.deepEqual(master_keys, { [alice.userId]: alice.keys.key('master') })
})

const whileOut: [what: string, act: (alice: Signer, world: DeviceWorld) => Promise<unknown>][] = [
  ['a device', async ({ device }, world) => (await world.login(device, 'D2')).upload()],
  ['keys', uploadKeys],
  [
    'keys, and then a device',
    async (alice) => {
      await uploadKeys(alice)
      await signOwnDevice(alice)
    },
  ],
]

for (const [what, change] of whileOut) {
  for (const hears of [true, false]) {
    const how = hears ? '' : ', also where no client heard of that'
    test(`who was held to be out of a room until branches merged is told of ${what}${how}`, async (t) => {
      const { world, a, b, alice, bob } = await twoServers(t)
      const [c] = (await world.start('c')) as [SimulatedServer]
      const carol = await signerOn(world, c, 'carol')
      const roomId = await world.sharedRoom(carol.device, alice.device, bob.device)
      const room = `/rooms/${encodeURIComponent(roomId)}`
      const levelOfAlice = async (level: number) => {
        const path = `${room}/state/m.room.power_levels/`
        const levels = await carol.device.get(path)
        const users = { ...levels.users, [alice.userId]: level }
        await carol.device.put(path, { ...levels, users })
        await world.world.settle(minuteMs)
      }
      await levelOfAlice(50)
      for (const { device } of [alice, bob]) await device.sync()
      await shown(bob.device, alice.userId)
      await shown(alice.device, bob.userId)
      world.world.partition([a], [b, c])
      await alice.device.post(`${room}/kick`, { user_id: bob.userId })
      await world.world.settle(minuteMs)
      if (hears) assert.deepEqual((await alice.device.sync()).device_lists.left, [bob.userId])
      await change(alice, world)
      await bob.device.put('/devices/D1', { display_name: 'Desk' })
      // By the time that they merge, who kicked had no power to do so.
      await levelOfAlice(0)
      world.world.heal()
      await carol.device.put(`${room}/send/m.room.message/1`, { msgtype: 'm.text', body: 'back' })
      await world.world.settle(60 * minuteMs)
      for (const { device } of [alice, bob, carol]) {
        const { membership } = await device.get(`${room}/state/m.room.member/${bob.userId}`)
        assert.equal(membership, 'join')
      }
      assert.ok((await bob.device.changed()).includes(alice.userId))
      assert.ok((await alice.device.changed()).includes(bob.userId))
      const expected = await shown(alice.device, alice.userId)
      const { device_keys, master_keys, self_signing_keys } = await shown(bob.device, alice.userId)
      assert.deepEqual(device_keys, expected.device_keys)
      assert.deepEqual(master_keys, expected.master_keys)
      assert.deepEqual(self_signing_keys, expected.self_signing_keys)
      const [desk] = Object.values<Body>(
        (await shown(alice.device, bob.userId)).device_keys[bob.userId],
      )
      assert.equal(desk.unsigned.device_display_name, 'Desk')
    })
  }
}

test('a change that a crash kept from being told is told after the next start', async (t) => {
  const { world, a, alice, bob } = await twoServers(t)
  await world.sharedRoom(bob.device, alice.device)
  await uploadKeys(alice)
  await world.world.settle(minuteMs)
  await bob.device.sync()
  world.askedFor()
  const { db } = a.running.server
  const note = sql`INSERT INTO signing_key_changes (user_id) VALUES (${alice.userId})`
  await world.world.time.await(db.write((tx) => tx.run(note)))
  a.crash()
  await world.world.time.await(a.start())
  await world.world.settle(minuteMs)
  assert.equal(world.askedFor('m.signing_key_update', alice.keys.publicKey('master')).length, 1)
})

test('keys that do not fit each other are in doubt, and all is asked for anew', async (t) => {
  const { world, a, b, alice, bob } = await twoServers(t)
  await uploadKeys(alice)
  await world.sharedRoom(bob.device, alice.device)
  await shown(bob.device, alice.userId)
  await bob.device.sync()
  world.askedFor()
  const next = new CrossSigner(alice.userId, 2)
  const bobs = bob.keys.key('master')
  for (const content of [
    // Another master key, which has not signed the self-signing key that there is.
    { master_key: next.key('master') },
    { master_key: next.key('master'), self_signing_key: alice.keys.key('self_signing') },
    { master_key: bobs },
    { self_signing_key: { ...alice.keys.key('self_signing'), keys: { 'ed25519:A': 'A' } } },
  ]) {
    await world.hand(b, a, ['m.signing_key_update', { user_id: alice.userId, ...content }])
    await world.world.settle(minuteMs)
    assert.equal(world.askedFor('GET /_matrix/federation/v1/user/devices/').length, 1)
    assert.deepEqual(await bob.device.changed(), [alice.userId])
    const { master_keys } = await shown(bob.device, alice.userId)
    assert.deepEqual(master_keys, { [alice.userId]: alice.keys.key('master') })
  }
  // What is known already is no news, and what is not the origin's is not listened to.
  const known = { master_key: alice.keys.key('master') }
  await world.hand(b, a, ['m.signing_key_update', { user_id: alice.userId, ...known }])
  await world.hand(b, a, ['m.signing_key_update', { user_id: bob.userId, ...known }])
  assert.deepEqual(await bob.device.changed(), [])
  assert.deepEqual(world.askedFor('/user/'), [])
})

test('who sets up new keys is seen with them, and with nothing of the old ones', async (t) => {
  const { world, alice, bob } = await twoServers(t)
  for (const user of [alice, bob]) await uploadKeys(user)
  await signOwnDevice(alice)
  await world.sharedRoom(bob.device, alice.device)
  await shown(bob.device, alice.userId)
  const name = alice.keys.publicKey('master')
  const bobsSignature = bob.keys.sign(alice.keys.key('master'), 'user_signing')
  await bob.device.post('/keys/signatures/upload', { [alice.userId]: { [name]: bobsSignature } })
  const next = new CrossSigner(alice.userId, 2)
  const path = '/keys/device_signing/upload'
  const asked = await alice.device.ask('POST', path, next.upload)
  assert.equal(asked.status, 401)
  const auth = { ...alice.device.proof, session: asked.body.session }
  await alice.device.post(path, { ...next.upload, auth })
  await world.world.settle(minuteMs)
  const answer = await shown(bob.device, alice.userId)
  assert.deepEqual(answer.master_keys, { [alice.userId]: next.key('master') })
  assert.deepEqual(answer.self_signing_keys, { [alice.userId]: next.key('self_signing') })
  assert.deepEqual(answer.device_keys[alice.userId].D1.signatures, alice.deviceKeys.signatures)
})
