import assert from 'node:assert/strict'
import { test } from 'node:test'
import { at, roomClientWorld, type TestUser } from '../../test/room-client-world.ts'
import { sql } from '../storage/database.ts'
import { noteDeviceChange } from '../storage/device-lists.ts'
import { memoryImage } from '../storage/sqlite.ts'

const encryption = {
  type: 'm.room.encryption',
  state_key: '',
  content: { algorithm: 'm.megolm.v1.aes-sha2' },
}
const encrypted = { preset: 'public_chat', initial_state: [encryption] }
const plain = { preset: 'public_chat' }

/** Uploads keys of the device that a user is logged in on. */
async function uploadKeys(user: TestUser, key = 'k'): Promise<void> {
  const { device_id } = await user.get('/account/whoami')
  const device_keys = {
    user_id: user.userId,
    device_id,
    algorithms: [],
    keys: { [`ed25519:${device_id}`]: key },
    signatures: {},
  }
  await user.post('/keys/upload', { device_keys })
}

/** A client that syncs, and gives of each answer what it says of device lists. */
async function follow(user: TestUser) {
  let since = (await user.sync()).next_batch as string
  const first = since
  const next = async (timeout = 0) => {
    const got = await user.sync(`since=${since}&timeout=${timeout}`)
    since = got.next_batch
    const { changed = [], left = [] } = got.device_lists ?? {}
    return { changed: changed.toSorted(), left: left.toSorted() }
  }
  /** What the other way to ask says of all that has happened. */
  const all = async () => {
    const query = new URLSearchParams({ from: first, to: since })
    const { changed, left } = await user.get(`/keys/changes?${query}`)
    return { changed: changed.toSorted(), left: left.toSorted() }
  }
  return { next, all }
}

const nothing = { changed: [], left: [] }

test('whoever shares a room hears of other keys, and so do the own devices', async (t) => {
  const world = await roomClientWorld(t)
  const [alice, bob, carol] = [
    await world.user('alice'),
    await world.user('bob'),
    await world.user('carol'),
  ]
  const roomId = await alice.createRoom(plain)
  await bob.post(`/join/${roomId}`)
  const clients = [await follow(alice), await follow(bob), await follow(carol)] as const
  await uploadKeys(alice)
  const changed = { changed: [alice.userId], left: [] }
  for (const round of [changed, nothing]) {
    assert.deepEqual(await clients[0].next(), round)
    assert.deepEqual(await clients[1].next(), round)
    assert.deepEqual(await clients[2].next(), nothing)
  }
  assert.deepEqual(await clients[1].all(), changed)
  assert.deepEqual(await clients[2].all(), nothing)
  // The same keys once more are no change.
  await uploadKeys(alice)
  assert.deepEqual(await clients[1].next(), nothing)
  await uploadKeys(alice, 'other')
  assert.deepEqual(await clients[1].next(), changed)
})

test('one who waits hears of other keys at once', async (t) => {
  const world = await roomClientWorld(t)
  const [alice, bob] = [await world.user('alice'), await world.user('bob')]
  const roomId = await alice.createRoom(encrypted)
  await bob.post(`/join/${roomId}`)
  const client = await follow(bob)
  const waiting = client.next(30_000)
  await uploadKeys(alice)
  assert.deepEqual(await waiting, { changed: [alice.userId], left: [] })
})

test('a device with keys that is renamed or deleted is a change, one without is none', async (t) => {
  const world = await roomClientWorld(t)
  const alice = await world.user('alice')
  const client = await follow(alice)
  const login = (device_id: string) =>
    world.ask('POST', '/login', {
      body: {
        type: 'm.login.password',
        identifier: { type: 'm.id.user', user: 'alice' },
        password: 'secret',
        device_id,
      },
    })
  const second = world.client(alice.userId, (await login('TWO')).body.access_token)
  await second.put('/devices/TWO', { display_name: 'Two' })
  await second.post('/logout')
  assert.deepEqual(await client.next(), nothing)
  const third = world.client(alice.userId, (await login('THREE')).body.access_token)
  const changed = { changed: [alice.userId], left: [] }
  for (const change of [
    () => uploadKeys(third),
    () => third.put('/devices/THREE', { display_name: 'Three' }),
    () => third.post('/logout'),
  ]) {
    await change()
    assert.deepEqual(await client.next(), changed)
  }
})

test('who comes to share a room is new, and who shares no encrypted one any more has left', async (t) => {
  const world = await roomClientWorld(t)
  const [alice, bob, carol] = [
    await world.user('alice'),
    await world.user('bob'),
    await world.user('carol'),
  ]
  const secret = await alice.createRoom(encrypted)
  const other = await alice.createRoom(encrypted)
  const open = await alice.createRoom(plain)
  const client = await follow(alice)
  await bob.post(`/join/${open}`)
  assert.deepEqual(await client.next(), { changed: [bob.userId], left: [] })
  await bob.post(`/join/${secret}`)
  const bobs = await follow(bob)
  assert.deepEqual(await client.next(), { changed: [bob.userId], left: [] })
  await bob.post(`/join/${other}`)
  await carol.post(`/join/${secret}`)
  assert.deepEqual(await client.next(), { changed: [bob.userId, carol.userId], left: [] })
  // The room is new to Bob, with all who are in it.
  assert.deepEqual(await bobs.next(), {
    changed: [alice.userId, bob.userId, carol.userId],
    left: [],
  })
  await bob.post(at(other, '/leave'))
  assert.deepEqual(await client.next(), nothing)
  await bob.post(at(secret, '/leave'))
  assert.deepEqual(await client.next(), { changed: [], left: [bob.userId] })
  assert.deepEqual(await bobs.next(), { changed: [], left: [alice.userId, carol.userId] })
  // Who has other keys and is gone is gone.
  await uploadKeys(carol)
  await alice.post(at(secret, '/kick'), { user_id: carol.userId })
  assert.deepEqual(await client.next(), { changed: [], left: [carol.userId] })
  const bob_back = { changed: [bob.userId], left: [] }
  await bob.post(`/join/${secret}`)
  assert.deepEqual(await client.next(), bob_back)
  assert.deepEqual(await client.all(), bob_back)
})

test('a change of name in an encrypted room is no encounter', async (t) => {
  const world = await roomClientWorld(t)
  const [alice, bob] = [await world.user('alice'), await world.user('bob')]
  const roomId = await alice.createRoom(encrypted)
  await bob.post(`/join/${roomId}`)
  const client = await follow(alice)
  await bob.put(`/profile/${bob.userId}/displayname`, { displayname: 'Robert' })
  assert.deepEqual(await client.next(), nothing)
})

test('when a room becomes encrypted, all in it share it', async (t) => {
  const world = await roomClientWorld(t)
  const [alice, bob] = [await world.user('alice'), await world.user('bob')]
  const roomId = await alice.createRoom(plain)
  await bob.post(`/join/${roomId}`)
  const client = await follow(alice)
  await alice.put(at(roomId, '/state/m.room.encryption'), encryption.content)
  const both = { changed: [alice.userId, bob.userId], left: [] }
  assert.deepEqual(await client.next(), both)
})

test('a change that a crash kept from being told is told after the start', async (t) => {
  const image = memoryImage()
  const world = await roomClientWorld(t, { image })
  const [alice, bob] = [await world.user('alice'), await world.user('bob')]
  const roomId = await alice.createRoom(encrypted)
  await bob.post(`/join/${roomId}`)
  const { next_batch: since } = await bob.sync()
  await uploadKeys(alice)
  // As if the server had ended after the keys were stored.
  await world.db.write((tx) => {
    tx.run(sql`DELETE FROM device_lists`)
    noteDeviceChange(tx, alice.userId, sql`user_id = user_id`)
  })
  world.crash()
  const again = await roomClientWorld(t, { image, seed: 2 })
  await again.endToEnd.start()
  const got = await again.client(bob.userId, bob.token).sync(`since=${since}`)
  assert.deepEqual(got.device_lists, { changed: [alice.userId], left: [] })
})

test('tokens that are none are refused', async (t) => {
  const world = await roomClientWorld(t)
  const alice = await world.user('alice')
  assert.equal(await alice.refused('GET', '/keys/changes?from=s1'), '400 M_MISSING_PARAM')
  assert.equal(await alice.refused('GET', '/keys/changes?from=x&to=s1'), '400 M_INVALID_PARAM')
})
