/**
 * What a server has missed of a room, or was said before it came: it is fetched, and has its place.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { roomVersions } from '../src/protocol/room-version.ts'
import { FederationWorld } from './federation-world.ts'
import { assertAgree, missedByBob, roomOfThree } from './three-servers.ts'

const oldest = roomVersions.get('1') ?? assert.fail()
const newest = roomVersions.get('12') ?? assert.fail()

test('three servers: an event that was never delivered is fetched when the next one names it', async () => {
  const { world, a, b, c, alice, bob, roomId } = await roomOfThree()
  world.cut(a, c)
  const said: string[] = []
  for (let count = 0; count < 30; count += 1) {
    said.push(`missed ${count}`)
    await a.say(alice, roomId, `missed ${count}`)
  }
  await world.settle(2000)
  assert.deepEqual(await c.messages(roomId), [])
  // What Bob says follows what Carol's server has not seen, and only Bob's can give it.
  await b.say(bob, roomId, 'and then')
  await world.settle()
  assert.deepEqual(await c.messages(roomId), [...said, 'and then'])
  await assertAgree(roomId, [b, c])
  world.heal()
  await world.settle(120_000)
  assert.deepEqual(await c.messages(roomId), [...said, 'and then'])
  await assertAgree(roomId, [a, b, c])
})

test('a gap of 400 events is jumped over with the state behind it, and healed as history', async () => {
  const world = new FederationWorld()
  const [a, b] = await world.start('a', 'b')
  const [alice, bob] = [a.user('alice'), b.user('bob')]
  const roomId = await a.createRoom(alice, newest)
  await b.join(bob, roomId, [a])
  await world.settle()
  const said = ['under way']
  await missedByBob({ a, b, alice, roomId }, async () => {
    for (let count = 0; count < 400; count += 1) {
      said.push(`missed ${count}`)
      await a.say(alice, roomId, `missed ${count}`)
      if (count === 100) {
        const topic = { type: 'm.room.topic', state_key: '', content: { topic: 'changed' } }
        await a.send(roomId, { sender: alice, ...topic })
      }
    }
  })
  await a.say(alice, roomId, 'newest')
  await world.settle(1_500)
  const atFirst = await b.messages(roomId)
  assert.equal(atFirst.at(-1), 'newest')
  assert.ok(atFirst.length > 150 && atFirst.length < 400, `${atFirst.length}`)
  await assertAgree(roomId, [a, b])

  // Nobody reads back, and yet it is fetched.
  await world.settle(30_000)
  assert.deepEqual(await b.messages(roomId), [...said, 'newest'])
  await assertAgree(roomId, [a, b])
})

test('a state is never taken without what an accident of the network kept from us', async () => {
  const world = new FederationWorld()
  const [a, b] = await world.start('a', 'b')
  const [alice, bob] = [a.user('alice'), b.user('bob')]
  const pins = Array.from({ length: 20 }, (_, index) => `pin ${index}`)
  const events = pins.map((state_key) => ({ type: 'test.pin', state_key, content: {} }))
  const roomId = await a.createRoom(alice, newest, { events })
  await b.join(bob, roomId, [a])
  await world.settle()
  const topic = await missedByBob({ a, b, alice, roomId }, async () => {
    const content = { topic: 'changed' }
    const changed = { sender: alice, type: 'm.room.topic', state_key: '', content }
    const eventId = await a.send(roomId, changed)
    for (let count = 0; count < 500; count += 1) await a.say(alice, roomId, `missed ${count}`)
    return eventId
  })
  const target = `/_matrix/federation/v1/event/${encodeURIComponent(topic)}`
  let accidents = 0
  world.network.interfere = ({ request }) => {
    if (request.target !== target) return undefined
    accidents += 1
    return { answer: { status: 502, headers: {}, body: new Uint8Array() } }
  }
  await a.say(alice, roomId, 'newest')
  await world.settle(30_000)
  assert.ok(accidents > 0)
  const currentTopic = async () =>
    (await b.rooms.currentState(roomId))?.eventId('m.room.topic', '') ?? 'none'
  // It has the newest event with all of the state before it, or has to wait for it.
  assert.deepEqual([await currentTopic(), await b.messages(roomId)], ['none', ['under way']])

  world.network.interfere = undefined
  await world.settle(24 * 3_600_000)
  assert.equal(await currentTopic(), topic)
  assert.equal((await b.messages(roomId)).at(-1), 'newest')
  await assertAgree(roomId, [a, b])
})

test('a state that has two events for one key is not believed', async () => {
  const world = new FederationWorld()
  const [a, b, c] = await world.start('a', 'b', 'c')
  const [alice, bob, carol] = [a.user('alice'), b.user('bob'), c.user('carol')]
  const topic = { sender: alice, type: 'm.room.topic', state_key: '' }
  const roomId = await a.createRoom(alice, newest)
  const old = await a.send(roomId, { ...topic, content: { topic: 'old' } })
  for (const server of [b, c]) await server.join(server === b ? bob : carol, roomId, [a])
  await world.settle()
  a.intercept = async (_, path, answer) => {
    if (!path.includes('/state_ids/')) return undefined
    const honest = await answer()
    return { ...honest, pdu_ids: [...(honest.pdu_ids as string[]), old] }
  }
  const changed = await missedByBob({ a, b, alice, roomId }, async () => {
    const eventId = await a.send(roomId, { ...topic, content: { topic: 'changed' } })
    for (let count = 0; count < 300; count += 1) await a.say(alice, roomId, `missed ${count}`)
    await world.settle()
    return eventId
  })
  await world.settle(1500)
  assert.ok(
    world.requests.some((request) =>
      request.startsWith('b.test > a.test GET /_matrix/federation/v1/state_ids'),
    ),
  )
  const state = await b.rooms.currentState(roomId)
  assert.equal(state?.eventId('m.room.topic', ''), changed)
  assert.equal((await b.messages(roomId)).at(-1), 'missed 299')
  await assertAgree(roomId, [a, b, c])
})

test('what was said before a join is not fetched until somebody wants it', async () => {
  const world = new FederationWorld()
  const [a, b] = await world.start('a', 'b')
  const [alice, bob] = [a.user('alice'), b.user('bob')]
  const roomId = await a.createRoom(alice, newest)
  for (let count = 0; count < 30; count += 1) await a.say(alice, roomId, `old ${count}`)
  await b.join(bob, roomId, [a])
  await a.say(alice, roomId, 'welcome')
  await world.settle(30_000)
  assert.deepEqual(await b.messages(roomId), ['welcome'])
})

test('the 300 messages from before a join are fetched as history, in order', async () => {
  for (const version of [oldest, newest]) {
    const world = new FederationWorld()
    const [a, b] = await world.start('a', 'b')
    const [alice, bob] = [a.user('alice'), b.user('bob')]
    const roomId = await a.createRoom(alice, version)
    const said: string[] = []
    for (let count = 0; count < 300; count += 1) {
      said.push(`old ${count}`)
      await a.say(alice, roomId, `old ${count}`)
    }
    await b.join(bob, roomId, [a])
    assert.deepEqual(await b.messages(roomId), [])
    const end = { stream: Number.MAX_SAFE_INTEGER, sub: 0 }
    const brought: number[] = []
    for (let tries = 0; tries < 10; tries += 1) {
      const count = await world.await(b.rooms.fillHistory(roomId, end, 100))
      brought.push(count)
      if (count === 0) break
    }
    assert.deepEqual(await b.messages(roomId), said, brought.join())
    // The first event of the room is there, and nothing is missing before it.
    const [first] = await b.rooms.timeline(roomId, {
      from: { stream: -1, sub: -1_000_000 },
      direction: 'forwards',
      limit: 1,
    })
    assert.equal(first?.pdu.type, 'm.room.create')
    await assertAgree(roomId, [a, b])
  }
})

test('after a restart a server asks what it has missed, and learns it though nobody speaks', async () => {
  for (const version of [oldest, newest]) {
    const world = new FederationWorld()
    const [a, b] = await world.start('a', 'b')
    const [alice, bob] = [a.user('alice'), b.user('bob')]
    const roomId = await a.createRoom(alice, version)
    await b.join(bob, roomId, [a])
    await world.settle()
    b.stop()
    for (const body of ['one', 'two', 'three']) await a.say(alice, roomId, body)
    await a.forgetOutbox()
    await b.restart()
    await world.settle()
    assert.deepEqual(await b.messages(roomId), ['one', 'two', 'three'])
    await assertAgree(roomId, [a, b])
    // Nobody left, and nothing was signed for it.
    assert.equal(await a.membershipIn(roomId, bob), 'join')
    assert.ok(!b.signed.some((message) => message.includes('"membership":"leave"')))
  }
})

test('what was said before a join and comes after it stands before it, not at the end', async () => {
  const world = new FederationWorld()
  const [a, b, c] = await world.start('a', 'b', 'c')
  const [alice, bob, carol] = [a.user('alice'), b.user('bob'), c.user('carol')]
  const roomId = await a.createRoom(alice, newest)
  await c.join(carol, roomId, [a])
  await world.settle()
  world.cut(a, c)
  const fork = await c.say(carol, roomId, 'on another branch')
  for (const body of ['one', 'two', 'three']) await a.say(alice, roomId, body)
  const join = await b.join(bob, roomId, [a])
  world.heal()
  await world.settle(120_000)
  await c.say(carol, roomId, 'merged')
  await world.settle(120_000)
  const [joined, forked] = await b.rooms.events(roomId, [join, fork])
  assert.equal(forked?.position?.stream, joined?.position?.stream)
  assert.ok((forked?.position?.sub ?? 0) < 0)
  assert.deepEqual((await b.messages(roomId)).slice(-2), ['on another branch', 'merged'])
  // The room's first events were not told anew either.
  const live = await b.rooms.timeline(roomId, {
    from: joined?.position ?? assert.fail(),
    direction: 'forwards',
    limit: 100,
  })
  assert.deepEqual(
    live.map(({ pdu }) => pdu.content.body),
    ['merged'],
  )
  await assertAgree(roomId, [a, b, c])
})
