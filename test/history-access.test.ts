/**
 * What a server that may read a room is given: up to when, how much, and what of it whole. Which
 * servers may read it is in `egress-matrix.test.ts`.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EventId, RoomId } from '../src/protocol/identifiers/ids.ts'
import type { JsonObject } from '../src/protocol/json.ts'
import { roomVersions } from '../src/protocol/room-version.ts'
import { FederationWorld } from './federation-world.ts'
import { roomOfThree } from './three-servers.ts'

const newest = roomVersions.get('12') ?? assert.fail()

const federation = (operation: string, ...ids: string[]) =>
  ['/_matrix/federation/v1', operation, ...ids.map(encodeURIComponent)].join('/')

interface Question {
  readonly method: 'GET' | 'POST'
  readonly target: string
  readonly body?: JsonObject
}

const routes: Readonly<Record<string, (roomId: RoomId, eventId: EventId) => Question>> = {
  backfill: (roomId, eventId) => ({
    method: 'GET',
    target: `${federation('backfill', roomId)}?v=${encodeURIComponent(eventId)}&limit=10`,
  }),
  get_missing_events: (roomId, eventId) => ({
    method: 'POST',
    target: federation('get_missing_events', roomId),
    body: { earliest_events: [], latest_events: [eventId], limit: 10 },
  }),
  state: (roomId, eventId) => ({
    method: 'GET',
    target: `${federation('state', roomId)}?event_id=${encodeURIComponent(eventId)}`,
  }),
  state_ids: (roomId, eventId) => ({
    method: 'GET',
    target: `${federation('state_ids', roomId)}?event_id=${encodeURIComponent(eventId)}`,
  }),
  event_auth: (roomId, eventId) => ({
    method: 'GET',
    target: federation('event_auth', roomId, eventId),
  }),
  event: (_, eventId) => ({ method: 'GET', target: federation('event', eventId) }),
}

test('who has left a room gives what there was until then to those who were in it', async () => {
  const world = new FederationWorld()
  const [a, c, d] = await world.start('a', 'c', 'd')
  const [alice, carol] = [a.user('alice'), c.user('carol')]
  const roomId = await a.createRoom(alice, newest)
  await c.join(carol, roomId, [a])
  const here = await a.say(alice, roomId, 'canary here')
  await world.await(a.rooms.leave({ userId: alice, roomId, content: {} }))
  await world.settle()
  for (const [name, question] of Object.entries(routes)) {
    const { method, target, body } = question(roomId, here)
    assert.equal((await c.request(a, method, target, body)).status, 200, name)
    const status = name === 'event' ? 404 : 403
    assert.equal((await d.request(a, method, target, body)).status, status, name)
  }
  const template = federation('make_join', roomId, d.user('dora'))
  assert.equal((await d.request(a, 'GET', `${template}?ver=12`)).status, 404, 'but lets nobody in')
})

test('who was put out while they could not be reached learns of it, and what was said until then', async () => {
  const world = new FederationWorld()
  const [a, c] = await world.start('a', 'c')
  const [alice, carol] = [a.user('alice'), c.user('carol')]
  const roomId = await a.createRoom(alice, newest)
  await c.join(carol, roomId, [a])
  await world.settle()
  world.cut(a, c)
  for (const body of ['one', 'two', 'three']) await a.say(alice, roomId, body)
  const ban = await a.setMembership(alice, roomId, carol, 'ban')
  const after = await a.say(alice, roomId, 'canary after')
  // After a long silence, servers send the newest of what waits.
  await world.settle(24 * 3_600_000)
  world.heal()
  await world.settle(24 * 3_600_000)
  assert.equal(await c.membershipIn(roomId, carol), 'ban')
  assert.deepEqual(await c.messages(roomId), ['one', 'two', 'three'])
  for (const [name, question] of Object.entries(routes)) {
    const ask = async (eventId: EventId) => {
      const { method, target, body } = question(roomId, eventId)
      return await c.request(a, method, target, body)
    }
    assert.equal((await ask(ban)).status, 200, name)
    const refused = await ask(after)
    assert.equal(refused.status, name === 'event' ? 404 : 403, name)
    assert.ok(!JSON.stringify(refused).includes('canary'), name)
  }
})

test('who was put out unheard learns of it also past what was said beside their join', async () => {
  const world = new FederationWorld()
  const [a, b, c] = await world.start('a', 'b', 'c')
  const [alice, bob, carol] = [a.user('alice'), b.user('bob'), c.user('carol')]
  const roomId = await a.createRoom(alice, newest)
  await b.join(bob, roomId, [a])
  const before = await a.say(alice, roomId, 'before')
  await world.settle()
  // Bob does not hear of Carol, nor anybody of what he says.
  world.cut(a, b)
  const beside = await b.say(bob, roomId, 'beside')
  await c.join(carol, roomId, [a])
  await world.settle()
  world.heal()
  world.cut(a, c)
  world.cut(b, c)
  await world.settle(24 * 3_600_000)
  await a.say(alice, roomId, 'both')
  const ban = await a.setMembership(alice, roomId, carol, 'ban')
  const after = await a.say(alice, roomId, 'canary after')
  await world.settle()
  world.heal()
  await world.settle(24 * 3_600_000)
  assert.equal(await c.membershipIn(roomId, carol), 'ban')
  assert.deepEqual(await c.messages(roomId), ['beside', 'both'])
  for (const [name, question] of Object.entries(routes)) {
    const statuses = [before, beside, ban, after].map(async (eventId) => {
      const { method, target, body } = question(roomId, eventId)
      return (await c.request(a, method, target, body)).status
    })
    const refused = name === 'event' ? 404 : 403
    assert.deepEqual(await Promise.all(statuses), [refused, 200, 200, refused], name)
  }
})

// What a server is given of the history from before its first user joined.
const before: [history_visibility: string, body: string | undefined][] = [
  ['world_readable', 'from before'],
  ['shared', 'from before'],
  ['invited', undefined],
  ['joined', undefined],
]

for (const [history_visibility, expected] of before) {
  test(`history from before a join is given ${expected === undefined ? 'redacted' : 'whole'}: ${history_visibility}`, async () => {
    const world = new FederationWorld()
    const [a, c] = await world.start('a', 'c')
    const [alice, carol] = [a.user('alice'), c.user('carol')]
    const roomId = await a.createRoom(alice, newest, {
      events: [
        {
          type: 'm.room.history_visibility',
          state_key: '',
          content: { history_visibility },
        },
      ],
    })
    await a.say(alice, roomId, 'from before')
    await c.join(carol, roomId, [a])
    const latest = await a.say(alice, roomId, 'from after')
    await world.settle()
    const backfill = routes.backfill?.(roomId, latest) ?? assert.fail()
    const { body } = await c.request(a, backfill.method, backfill.target)
    const messages = (body.pdus as readonly JsonObject[])
      .filter(({ type }) => type === 'm.room.message')
      .map(({ content }) => (content as JsonObject).body)
    assert.deepEqual(messages, ['from after', expected])
    // The graph is whole all the same, and what is redacted is still what its sender signed.
    const end = { stream: Number.MAX_SAFE_INTEGER, sub: 0 }
    for (let tries = 0; tries < 3; tries += 1)
      await world.await(c.rooms.fillHistory(roomId, end, 100))
    const [first] = await c.rooms.timeline(roomId, {
      from: { stream: -1, sub: -1_000_000 },
      direction: 'forwards',
      limit: 1,
    })
    assert.equal(first?.pdu.type, 'm.room.create')
    assert.ok(
      !JSON.stringify(await c.messages(roomId)).includes(expected ?? 'from before') ===
        (expected === undefined),
    )
  })
}

test('get_missing_events goes back from the latest, not past the earliest, and says the oldest first', async () => {
  const world = new FederationWorld()
  const [a, c] = await world.start('a', 'c')
  const [alice, carol] = [a.user('alice'), c.user('carol')]
  const roomId = await a.createRoom(alice, newest)
  await c.join(carol, roomId, [a])
  const ids: EventId[] = []
  for (let count = 0; count < 30; count += 1) ids.push(await a.say(alice, roomId, `${count}`))
  await world.settle()
  const at = (index: number) => ids[index] ?? assert.fail()
  const ask = async (body: JsonObject) => {
    const target = federation('get_missing_events', roomId)
    const { status, body: answer } = await c.request(a, 'POST', target, body)
    if (status !== 200) return `${status} ${answer.errcode}`
    return (answer.events as readonly JsonObject[])
      .map(({ content }) => (content as JsonObject).body)
      .join(' ')
  }
  const between = (earliest: number, latest: number, more: JsonObject = {}) =>
    ask({ earliest_events: [at(earliest)], latest_events: [at(latest)], ...more })
  assert.equal(await between(5, 10), '6 7 8 9')
  // Ten where no limit is given, and never more than twenty.
  assert.equal(await between(0, 15), '5 6 7 8 9 10 11 12 13 14')
  assert.equal((await between(0, 29, { limit: 1000 })).split(' ').length, 20)
  assert.equal(await between(0, 29, { limit: 3 }), '26 27 28')
  const event = await a.rooms.event(roomId, at(8))
  assert.equal(await between(0, 10, { min_depth: event?.pdu.depth ?? 0 }), '8 9')
  assert.equal(await between(0, 10, { limit: 0 }), '400 M_INVALID_PARAM')
  assert.equal(await ask({ earliest_events: [], latest_events: [] }), '')
  assert.equal(await ask({ latest_events: [] }), '400 M_MISSING_PARAM')
  assert.equal(await ask({ earliest_events: ['x'], latest_events: [] }), '400 M_BAD_JSON')
})

test('state and state_ids are of before the event, and name the same', async () => {
  const world = new FederationWorld()
  const [a, c] = await world.start('a', 'c')
  const [alice, carol] = [a.user('alice'), c.user('carol')]
  const roomId = await a.createRoom(alice, newest)
  await c.join(carol, roomId, [a])
  const topic = (text: string) =>
    a.send(roomId, { sender: alice, type: 'm.room.topic', state_key: '', content: { topic: text } })
  await topic('one')
  const change = await topic('two')
  const ask = async (name: string) => {
    const { method, target } = routes[name]?.(roomId, change) ?? assert.fail()
    return (await c.request(a, method, target)).body
  }
  const { pdus, auth_chain } = await ask('state')
  const { pdu_ids, auth_chain_ids } = await ask('state_ids')
  const topics = (pdus as readonly JsonObject[]).filter(({ type }) => type === 'm.room.topic')
  assert.deepEqual(
    topics.map(({ content }) => content),
    [{ topic: 'one' }],
  )
  assert.equal((pdu_ids as unknown[]).length, (pdus as unknown[]).length)
  assert.equal((auth_chain_ids as unknown[]).length, (auth_chain as unknown[]).length)
})

test('get_missing_events tells both parents before the depths of a long branch', async () => {
  const { world, a, b, c, alice, bob, roomId } = await roomOfThree()
  world.cut(a, b)
  const aside = await b.say(bob, roomId, 'aside')
  for (let count = 0; count < 15; count += 1) await a.say(alice, roomId, `${count}`)
  world.heal()
  await world.settle(3_600_000)
  const merge = await a.say(alice, roomId, 'merge')
  const stored = await a.rooms.event(roomId, merge)
  assert.equal(stored?.pdu.prev_events.length, 2)
  const ask = async (limit: number) => {
    const body = { earliest_events: [], latest_events: [merge], limit }
    const answer = await c.request(a, 'POST', federation('get_missing_events', roomId), body)
    return (answer.body.events as readonly JsonObject[]).map(
      ({ content }) => (content as JsonObject).body,
    )
  }
  assert.equal((await a.rooms.event(roomId, aside))?.status, 'accepted')
  assert.deepEqual(await ask(2), ['aside', '14'])
})

for (const membership of ['leave', 'ban']) {
  test(`a server hears of the ${membership} of its last user, and what it follows on`, async () => {
    const { world, a, b, c, alice, bob, carol, roomId } = await roomOfThree()
    // Bob's right to do it does not reach Carol's server other than through his.
    world.cut(a, c)
    const content = { users: { [bob]: 50 } }
    await a.send(roomId, { sender: alice, type: 'm.room.power_levels', state_key: '', content })
    await world.settle()
    const kick = await b.setMembership(bob, roomId, carol, membership)
    const after = await b.say(bob, roomId, 'canary')
    await world.settle()
    assert.equal(await c.membershipIn(roomId, carol), membership)
    // It may read of the time that it was in the room, and of no other.
    for (const [name, question] of Object.entries(routes)) {
      const ask = async (eventId: EventId) => {
        const { method, target, body } = question(roomId, eventId)
        return await c.request(b, method, target, body)
      }
      assert.equal((await ask(kick)).status, 200, name)
      const refused = await ask(after)
      assert.equal(refused.status, name === 'event' ? 404 : 403, name)
      assert.ok(!JSON.stringify(refused.body).includes('canary'), name)
    }
  })
}
