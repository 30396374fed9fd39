/**
 * The history of a room in which many speak at once: its graph is a braid, so that every stretch of it
 * that is fetched ends at many events, and begins at many.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { buildPdu, referenceTo } from '../src/protocol/build-pdu.ts'
import type { EventId, RoomId, UserId } from '../src/protocol/identifiers/ids.ts'
import type { Pdu } from '../src/protocol/pdu.ts'
import { type RoomVersion, roomVersions } from '../src/protocol/room-version.ts'
import { FederationWorld, type TestServer } from './federation-world.ts'

const newest = roomVersions.get('12') ?? assert.fail()
const oldest = roomVersions.get('1') ?? assert.fail()
const end = { stream: Number.MAX_SAFE_INTEGER, sub: 0 }

/** Four events at a time, each after those of the two rounds before it. Gives their bodies. */
async function speakAtOnce(
  server: TestServer,
  { roomId, sender, version }: { roomId: RoomId; sender: UserId; version: RoomVersion },
  rounds: number,
): Promise<string[]> {
  const said: string[] = []
  const { draft } = await server.engine.draft(roomId, {
    sender,
    type: 'm.room.message',
    content: {},
  })
  let older: Pdu[] = []
  let newer: Pdu[] = []
  for (let round = 0; round < rounds; round += 1) {
    const parents = [...older, ...newer]
    const fresh: Pdu[] = []
    for (let voice = 0; voice < 4; voice += 1) {
      said.push(`round ${round} voice ${voice}`)
      const built = buildPdu(
        version,
        {
          ...draft,
          ...(version.eventId === 'in-event' ? { event_id: `$${said.length}:${server.name}` } : {}),
          content: { msgtype: 'm.text', body: `round ${round} voice ${voice}` },
          depth: draft.depth + round,
          origin_server_ts: draft.origin_server_ts + said.length,
          prev_events: round === 0 ? draft.prev_events : parents.map(referenceTo),
        },
        server.signer,
      )
      assert.ok(built.ok)
      fresh.push(built.pdu)
    }
    for (const pdu of fresh) {
      await server.world.await(server.engine.sendBuilt(roomId, pdu))
    }
    older = newer
    newer = fresh
  }
  return said
}

for (const version of [oldest, newest]) {
  test(`version ${version.id}: the history of a braided room comes whole, and in its order`, async () => {
    const world = new FederationWorld()
    const [a, b] = await world.start('a', 'b')
    const [alice, bob] = [a.user('alice'), b.user('bob')]
    const roomId = await a.createRoom(alice, version)
    const said = await speakAtOnce(a, { roomId, sender: alice, version }, 75)
    await b.join(bob, roomId, [a])
    const brought: number[] = []
    for (let count = -1; count !== 0; brought.push(count)) {
      count = await world.await(b.rooms.fillHistory(roomId, end, 100))
    }
    assert.deepEqual(await b.messages(roomId), said)
    assert.equal(brought.length, 5, brought.join())
    // The room's first event is the first of all, and nothing is missing before it.
    const [first] = await b.rooms.timeline(roomId, {
      from: { stream: -1, sub: 0 },
      direction: 'forwards',
      limit: 1,
    })
    assert.equal(first?.pdu.type, 'm.room.create')
    assert.deepEqual(await b.engine.gaps(roomId, end, 1), [])
    assert.deepEqual([a.errors, b.errors], [[], []])
  })
}

for (const [first, second] of [
  ['a', 'b'],
  ['b', 'a'],
] as const) {
  test(`a branch that only ${first} has is fetched with the one that ${second} has too`, async () => {
    const world = new FederationWorld()
    const servers = await world.start('a', 'b', 'c')
    const named = new Map(servers.map((server) => [server.host, server]))
    const whole = named.get(`${first}.test`) ?? assert.fail()
    const half = named.get(`${second}.test`) ?? assert.fail()
    const [, , c] = servers
    const roomId = await whole.createRoom(whole.user('alice'), newest)
    await half.join(half.user('bob'), roomId, [whole])
    await world.settle()
    world.network.cut(whole.host, half.host)
    await whole.say(whole.user('alice'), roomId, 'one branch')
    await half.say(half.user('bob'), roomId, 'another branch')
    await world.settle()
    await c.join(c.user('carol'), roomId, [whole])

    assert.notEqual(await world.await(c.rooms.fillHistory(roomId, end, 100)), 0)
    assert.deepEqual((await c.messages(roomId)).toSorted(), ['another branch', 'one branch'])
    assert.deepEqual(await c.engine.gaps(roomId, end, 1), [])
  })
}

test('what came live is no end of a room once history leads from it to what was there', async () => {
  const world = new FederationWorld()
  const [a, b] = await world.start('a', 'b')
  const [alice, bob] = [a.user('alice'), b.user('bob')]
  const roomId = await a.createRoom(alice, newest)
  await b.join(bob, roomId, [a])
  await world.settle()
  world.cut(a, b)
  const topic = { sender: alice, type: 'm.room.topic', state_key: '' }
  const first = await a.send(roomId, { ...topic, content: { topic: 'first' } })
  const between = await a.say(alice, roomId, 'between')
  const second = await a.send(roomId, { ...topic, content: { topic: 'second' } })
  const last = await a.say(alice, roomId, 'last')
  const [pduOfFirst, pduOfBetween, pduOfSecond, pduOfLast] = (
    await a.rooms.events(roomId, [first, between, second, last])
  ).map(({ pdu }) => pdu)
  assert.ok(pduOfFirst && pduOfBetween && pduOfSecond && pduOfLast)
  const stateBefore = async (eventId: EventId) => {
    const state = await a.rooms.stateBefore(roomId, eventId)
    return (state?.ids() ?? []).map((entry) => entry.eventId)
  }
  const origin = a.name
  await world.await(b.engine.storeOutliers(roomId, [pduOfFirst, pduOfSecond], origin))
  const statesBefore = new Map([[last, await stateBefore(last)]])
  await world.await(b.engine.receive(roomId, [pduOfLast], { origin, statesBefore }))
  // The older topic comes late, and nothing here tells yet that it is older.
  await world.await(b.engine.receive(roomId, [pduOfFirst], { origin, statesBefore: new Map() }))
  const [gap] = await b.engine.gaps(roomId, end, 1)
  assert.ok(gap)
  const history = [pduOfBetween, pduOfSecond]
  const place = { before: gap.position, origin, statesBefore: new Map() }
  await world.await(b.engine.acceptHistory(roomId, history, place))

  const ends = await b.engine.forwardExtremities(roomId)
  assert.ok(ends.includes(last) && !ends.includes(first), ends.join())
  const state = await b.rooms.currentState(roomId)
  assert.equal(state?.eventId('m.room.topic', ''), second)
  assert.deepEqual([a.errors, b.errors], [[], []])
})

test('what comes live is no end of a room whose state was made by it', async () => {
  const world = new FederationWorld()
  const [a, b] = await world.start('a', 'b')
  const [alice, bob] = [a.user('alice'), b.user('bob')]
  const roomId = await a.createRoom(alice, newest)
  await b.join(bob, roomId, [a])
  await world.settle()
  world.cut(a, b)
  const left = await a.join(a.user('guest'), roomId)
  const rules = { sender: alice, type: 'm.room.join_rules', state_key: '' }
  const isOpen = await a.send(roomId, { ...rules, content: { join_rule: 'public' } })
  const again = await a.send(roomId, {
    sender: a.user('guest'),
    type: 'm.room.member',
    state_key: a.user('guest'),
    content: { membership: 'join', displayname: 'Guest' },
  })
  await a.send(roomId, { ...rules, content: { join_rule: 'invite' } })
  const last = await a.say(alice, roomId, 'last')
  const state = (await a.rooms.stateBefore(roomId, last)) ?? assert.fail()
  const statesBefore = new Map([[last, state.ids().map((entry) => entry.eventId)]])
  const origin = a.name
  const lacking = (await a.rooms.events(roomId, [left, isOpen, again])).map(({ pdu }) => pdu)
  const atLast = await state.events()
  await world.await(b.engine.storeOutliers(roomId, [...lacking, ...atLast], origin))
  const [pduOfLast] = await a.rooms.events(roomId, [last])
  assert.ok(pduOfLast)
  await world.await(b.engine.receive(roomId, [pduOfLast.pdu], { origin, statesBefore }))
  // In the auth chain of the state; of the state itself.
  for (const pdu of lacking.filter(({ event_id: id }) => id === left || id === again)) {
    const placed = new Map([[pdu.event_id, await before(a, roomId, pdu.event_id)]])
    await world.await(b.engine.receive(roomId, [pdu], { origin, statesBefore: placed }))
    assert.equal((await b.rooms.event(roomId, pdu.event_id))?.status, 'accepted')
  }
  assert.deepEqual(await b.engine.forwardExtremities(roomId), [last])
  assert.equal(
    (await b.rooms.currentState(roomId))?.eventId('m.room.member', a.user('guest')),
    again,
  )
  assert.deepEqual([a.errors, b.errors], [[], []])
})

async function before(server: TestServer, roomId: RoomId, eventId: EventId): Promise<EventId[]> {
  const state = await server.rooms.stateBefore(roomId, eventId)
  return (state?.ids() ?? []).map((entry) => entry.eventId)
}
