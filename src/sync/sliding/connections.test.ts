/**
 * Connections of sliding sync: their positions, their limits, and what they may not ask.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Database } from '#storage/database.ts'
import { memoryImage, openSqlite } from '#storage/sqlite.ts'
import { roomClientWorld } from '../../../test/room-client-world.ts'
import {
  bodies,
  list,
  SlidingClient,
  sharedRoom,
  slidingPath,
  twoUsers,
} from '../../../test/sliding-client.ts'
import { createConnections } from './connection.ts'

test('the same position gives the same answer, until the next one is asked from', async (t) => {
  const { alice, bob } = await twoUsers(t)
  const roomId = await sharedRoom(alice, bob)
  const client = new SlidingClient(bob, { lists: { all: list([0, 9]) } })
  const lost = await client.next()
  client.pos = undefined
  // The connection begins anew: what the answer said that was lost is said again.
  const first = await client.next()
  assert.deepEqual(Object.keys(first.rooms), Object.keys(lost.rooms))
  await alice.say(roomId, 'once')
  const second = await client.ask()
  assert.deepEqual(bodies(second.rooms[roomId]), ['once'])
  const other = await sharedRoom(alice, bob)
  // This answer makes a room known, and does not arrive.
  const third = await client.ask()
  assert.equal(third.rooms[other].initial, true)
  const again = await client.next()
  assert.equal(again.rooms[other].initial, true)
  assert.deepEqual(bodies(again.rooms[roomId]), ['once'])
  assert.deepEqual((await client.next()).rooms, {})
  for (const pos of [first.pos, lost.pos, '9_9_9', 'junk']) {
    const target = `${slidingPath}?pos=${pos}`
    assert.equal(await bob.refused('POST', target, client.body), '400 M_UNKNOWN_POS', pos)
  }
  assert.equal(
    await alice.refused('POST', `${slidingPath}?pos=${client.pos}`, {}),
    '400 M_UNKNOWN_POS',
  )
})

test('a position outlives a restart, also one whose answer was lost', async (t) => {
  const image = memoryImage()
  const before = await twoUsers(t, { image })
  const [one, two] = [
    await sharedRoom(before.alice, before.bob),
    await sharedRoom(before.alice, before.bob),
  ]
  const body = { lists: { all: list([0, 0]) } }
  const client = new SlidingClient(before.bob, body)
  await client.next()
  const pos = client.pos
  // Makes the other room known, but the client does not hear of it.
  await before.alice.say(one, 'first')
  await client.ask()
  await before.world.rooms.close()
  await before.world.db.close()

  const world = await roomClientWorld(t, { image })
  const bob = world.client(before.bob.userId, before.bob.token)
  const alice = world.client(before.alice.userId, before.alice.token)
  await alice.say(two, 'second')
  const later = new SlidingClient(bob, body)
  later.pos = pos
  const { rooms } = await later.next()
  assert.deepEqual(Object.keys(rooms), [two])
  assert.equal(rooms[two].initial, undefined)
  assert.deepEqual(bodies(rooms[two]), ['second'])
  await alice.say(one, 'third')
  const next = await later.next()
  assert.equal(next.rooms[one].initial, true)
  assert.deepEqual(bodies(next.rooms[one]), ['first', 'third'])
})

test('several connections of a device do not know of each other', async (t) => {
  const { alice, bob } = await twoUsers(t)
  const roomId = await sharedRoom(alice, bob)
  const body = { lists: { all: list([0, 9]) } }
  const [one, two] = [
    new SlidingClient(bob, { ...body, conn_id: 'one' }),
    new SlidingClient(bob, { ...body, conn_id: 'two' }),
  ]
  await one.next()
  await alice.say(roomId, 'hello')
  assert.equal((await two.next()).rooms[roomId].initial, true)
  assert.deepEqual(bodies((await one.next()).rooms[roomId]), ['hello'])
  assert.deepEqual((await two.next()).rooms, {})
  // One more than a device may have ends the one that was not used for longest.
  for (let count = 0; count < 15; count += 1) {
    await new SlidingClient(bob, { ...body, conn_id: `more ${count}` }).next()
  }
  const gone = await bob.refused('POST', `${slidingPath}?pos=${one.pos}`, one.body)
  assert.equal(gone, '400 M_UNKNOWN_POS')
  assert.deepEqual((await two.next()).rooms, {})
})

test('of two first requests of a connection at once both are answered, and one goes on', async (t) => {
  const { alice } = await twoUsers(t)
  const roomId = await alice.createRoom({})
  const client = new SlidingClient(alice, { conn_id: 'one', lists: { all: list([0, 9]) } })
  const answers = await Promise.all([client.ask(), client.ask()])
  for (const { rooms } of answers) assert.ok(rooms[roomId].initial)
  const goesOn = await Promise.allSettled(answers.map(({ pos }) => client.ask(pos)))
  assert.ok(goesOn.some(({ status }) => status === 'fulfilled'))
})

test('who could not begin a connection while the database was away begins it later', async () => {
  const db = await openSqlite({})
  let isAway = false
  const first: Database['first'] = async (statement) => {
    if (isAway) throw new Error('the database is away')
    return await db.first(statement)
  }
  const reading: Database = {
    first,
    all: (statement) => db.all(statement),
    write: (collect) => db.write(collect),
    close: () => db.close(),
  }
  const device = { userId: '@a:b', deviceId: 'D' } as const
  const connections = createConnections({ db: reading, clock: { now: () => 0 } })
  isAway = true
  await assert.rejects(connections.open(device, 'one', undefined), /away/)
  isAway = false
  await connections.open(device, 'one', undefined)
})

test('a client that knows all waits for news', async (t) => {
  const { world, alice, bob } = await twoUsers(t)
  const roomId = await sharedRoom(alice, bob)
  const client = new SlidingClient(bob, { lists: { all: list([0, 9]) } })
  await client.next()
  let answered = false
  const waiting = bob
    .post(`${slidingPath}?pos=${client.pos}&timeout=30000`, client.body)
    .then((body) => {
      answered = true
      return body
    })
  await world.time.run(10_000)
  assert.equal(answered, false)
  await alice.say(roomId, 'wake up')
  const { rooms } = await world.time.await(waiting)
  assert.deepEqual(bodies(rooms[roomId]), ['wake up'])
})

test('a client that wants ever other things of a room has to begin anew', async (t) => {
  const { alice, bob } = await twoUsers(t)
  const roomId = await sharedRoom(alice, bob)
  const key = 'k'.repeat(240)
  const wish = (count: number) => {
    const required_state = Array.from({ length: 200 }, (_, at) => [`${count} ${at} ${key}`, key])
    return { room_subscriptions: { [roomId]: { timeline_limit: 1, required_state } } }
  }
  const client = new SlidingClient(bob, wish(0))
  let count = 0
  const goOn = async () => {
    await client.next(wish(count))
    count += 1
  }
  // Some ten of these wishes are as much as is kept of a connection.
  await assert.rejects(async () => {
    while (count < 50) await goOn()
  }, /M_UNKNOWN_POS/)
  assert.ok(count > 5 && count < 15, `${count}`)
  client.pos = undefined
  assert.equal((await client.next(wish(count))).rooms[roomId].initial, true)
})

test('what is malformed is refused', async (t) => {
  const { bob } = await twoUsers(t)
  const wanted = { timeline_limit: 1, required_state: [] }
  const lists = Object.fromEntries(Array.from({ length: 101 }, (_, at) => [`l${at}`, wanted]))
  const cases: readonly object[] = [
    { lists: { all: { required_state: [] } } },
    { lists: { all: { ...wanted, ranges: [[0]] } } },
    { lists: { all: { ...wanted, ranges: [[-1, 5]] } } },
    { lists: { all: { ...wanted, required_state: [['m.room.name']] } } },
    { lists },
    { room_subscriptions: { 'no room': wanted } },
    { extensions: { to_device: { enabled: true, since: 'junk' } } },
  ]
  for (const body of cases) {
    const refused = await bob.refused('POST', slidingPath, body)
    assert.match(
      refused,
      /^400 M_(INVALID_PARAM|BAD_JSON|MISSING_PARAM)$/,
      JSON.stringify(body).slice(0, 100),
    )
  }
})
