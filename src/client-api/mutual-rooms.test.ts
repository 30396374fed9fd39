import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import { at, roomClientWorld } from '../../test/room-client-world.ts'

const path = '/_matrix/client/v1/mutual_rooms'

test('the rooms that two users share are told, those of one alone are not', async (t) => {
  const world = await roomClientWorld(t)
  const [alice, bob] = [await world.user('alice'), await world.user('bob')]
  const options = { preset: 'public_chat' }
  const rooms = [await alice.createRoom(options), await alice.createRoom(options)]
  await alice.createRoom(options)
  await bob.createRoom(options)
  for (const room of rooms) await bob.post(at(room, '/join'))
  const left = await alice.createRoom(options)
  await bob.post(at(left, '/join'))
  await bob.post(at(left, '/leave'))
  const ask = (user: string) => alice.get(`${path}?user_id=${encodeURIComponent(user)}`)
  assert.deepEqual(await ask(bob.userId), { joined: rooms.toSorted(), count: 2 })
  assert.deepEqual(await ask('@nobody:hansa.test'), { joined: [], count: 0 })
  const before = '/_matrix/client/unstable/uk.half-shot.msc2666/user/mutual_rooms'
  const asked = await alice.get(`${before}?user_id=${encodeURIComponent(bob.userId)}`)
  assert.deepEqual(asked, { joined: rooms.toSorted() })
  const refused = (query: string) => alice.refused('GET', `${path}${query}`)
  assert.equal(await refused(`?user_id=${encodeURIComponent(alice.userId)}`), '400 M_INVALID_PARAM')
  assert.equal(await refused('?user_id=bob'), '400 M_INVALID_PARAM')
  assert.equal(await refused(''), '400 M_MISSING_PARAM')
  const from = `?user_id=${encodeURIComponent(bob.userId)}&from=x`
  assert.equal(await refused(from), '400 M_INVALID_PARAM')
})

test('many rooms are told in pages, in both forms', async (t) => {
  const world = await roomClientWorld(t)
  const [alice, bob] = [await world.user('alice'), await world.user('bob')]
  const rooms: string[] = []
  for (let count = 0; count < 201; count++) {
    const room = await alice.createRoom({ preset: 'public_chat' })
    await bob.post(at(room, '/join'))
    rooms.push(room)
  }
  const before = '/_matrix/client/unstable/uk.half-shot.msc2666/user/mutual_rooms'
  for (const [where, sent, got] of [
    [path, 'from', 'next_batch'],
    [before, 'batch_token', 'next_batch_token'],
  ] as const) {
    const user = `user_id=${encodeURIComponent(bob.userId)}`
    const first = await alice.get(`${where}?${user}`)
    const second = await alice.get(`${where}?${user}&${sent}=${encodeURIComponent(first[got])}`)
    assert.deepEqual([first.joined.length, second.joined.length, second[got]], [200, 1, undefined])
    assert.deepEqual([...first.joined, ...second.joined], rooms.toSorted())
  }
})

test('credentials for TURN servers are what these can check', async (t) => {
  const turn = { uris: ['turn:turn.test?transport=udp'], sharedSecret: 'secret', ttlSeconds: 3600 }
  const world = await roomClientWorld(t, { turn })
  const alice = await world.user('alice')
  const { username, password, uris, ttl } = await alice.get('/voip/turnServer')
  assert.deepEqual([uris, ttl], [turn.uris, 3600])
  const [until, user] = [username.split(':')[0], username.slice(username.indexOf(':') + 1)]
  assert.equal(user, alice.userId)
  assert.equal(Number(until), Math.floor(world.time.clock().now() / 1000) + 3600)
  assert.equal(password, createHmac('sha1', 'secret').update(username).digest('base64'))
  const without = await roomClientWorld(t)
  const bob = await without.user('bob')
  assert.equal(await bob.refused('GET', '/voip/turnServer'), '404 M_NOT_FOUND')
})
