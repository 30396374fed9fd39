/**
 * History, and what is heard late, of a room that was joined without most of its members: it has the
 * place and the states that it would have had all been there from the beginning.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { buildPdu } from '../src/protocol/build-pdu.ts'
import type { EventId, RoomId } from '../src/protocol/identifiers/ids.ts'
import type { JsonObject } from '../src/protocol/json.ts'
import type { Pdu } from '../src/protocol/pdu.ts'
import { roomAccess } from '../src/sync/room-access.ts'
import { visibleEvents } from '../src/sync/visible-events.ts'
import type { TestServer } from './federation-world.ts'
import { complete, joined, type Scene, scene, setState, versions } from './partial-state-world.ts'

for (const version of versions) {
  test(`version ${version.id}: history is read while most of the members are not known`, async () => {
    const it = await scene(version)
    const { a, c, alice, roomId } = it
    for (const body of ['one', 'two', 'three']) await a.say(alice, roomId, body)
    await joined(it)
    const end = { stream: Number.MAX_SAFE_INTEGER, sub: 0 }
    assert.ok((await it.world.await(c.rooms.fillHistory(roomId, end, 3))) > 0)
    assert.deepEqual(await c.messages(roomId), ['one', 'two', 'three'])
    await complete(it)
    assert.deepEqual(await c.messages(roomId), ['one', 'two', 'three'])
    await assertSameHistory(it)
  })
}

function giveOnlyStateBefore(join: EventId, servers: readonly TestServer[]): void {
  for (const server of servers) {
    server.intercept = async (_, path) =>
      /\/state(_ids)?\//.test(path) && !path.includes(join) ? { nothing: true } : undefined
  }
}

test('history that came while members were unknown has the states that it makes itself, if nobody gives them', async () => {
  const it = await scene()
  const { world, a, b, c, alice, roomId } = it
  for (const body of ['one', 'two', 'three']) await a.say(alice, roomId, body)
  const join = await joined(it)
  const end = { stream: Number.MAX_SAFE_INTEGER, sub: 0 }
  // From its end on, a few events at a time: what an event follows comes after it.
  const fill = () => world.await(c.rooms.fillHistory(roomId, end, 3))
  for (let brought = await fill(); brought > 0; ) brought = await fill()
  giveOnlyStateBefore(join, [a, b])
  const shown = async () => (await timeline(c, roomId)).map(({ pdu }) => pdu.event_id)
  const before = await shown()
  assert.equal(before.length, (await timeline(a, roomId)).length)
  await complete(it)
  assert.deepEqual(await shown(), before)
  await assertSameHistory(it)
})

test('of history that is removed while members are unknown, our join and what follows it stays', async () => {
  const it = await scene()
  const { world, c, carol, roomId } = it
  const join = await joined(it)
  const end = { stream: Number.MAX_SAFE_INTEGER, sub: 0 }
  await world.await(c.rooms.fillHistory(roomId, end, 100))
  for (const body of ['one', 'two']) await c.say(carol, roomId, body)
  const { removed, kept } = await world.await(c.rooms.removeHistory(roomId, end))
  assert.ok(removed + kept > 0)
  const [first] = await timeline(c, roomId)
  assert.equal(first?.pdu.event_id, join)
  await complete(it)
  assert.deepEqual(await c.messages(roomId), ['one', 'two'])
  await assertSameHistory(it)
})

async function timeline({ rooms }: TestServer, roomId: RoomId) {
  const range = { from: { stream: -1, sub: 0 }, direction: 'forwards', limit: 100 } as const
  return await rooms.timeline(roomId, range)
}

/** Before each event of the timeline that Carol's server holds there is the same state. */
async function assertSameHistory({ a, c, roomId }: Scene): Promise<void> {
  for (const { pdu } of await timeline(c, roomId)) {
    const idsAt = async ({ rooms }: TestServer) =>
      (await rooms.stateBefore(roomId, pdu.event_id))
        ?.ids()
        .map(({ eventId }) => eventId)
        .toSorted()
    assert.deepEqual(await idsAt(c), await idsAt(a), `${pdu.type} at ${pdu.depth}`)
  }
}

/** Lets Carol in by a join of which her server never hears. */
async function joinUnheard({ world, a, c, carol, roomId }: Scene): Promise<void> {
  const { intercept } = a
  a.intercept = async (method, path, answer) => {
    if (!path.includes('/send_join/')) return await intercept?.(method, path, answer)
    await answer()
    return { nothing: true }
  }
  await assert.rejects(c.join(carol, roomId, [a]))
  await world.settle(60_000)
  assert.equal(await a.membershipIn(roomId, carol), 'join')
  assert.equal(await c.rooms.partialState(roomId), undefined)
  a.intercept = intercept
}

const invited = ({ a, alice, carol, roomId }: Scene) =>
  a.setMembership(alice, roomId, carol, 'invite')

for (const [visibility, comesNear, told] of [
  ['joined', joinUnheard, 'all states'],
  ['joined', joinUnheard, 'only the state before the join'],
  ['invited', invited, 'all states'],
  ['invited', invited, 'only the state before the join'],
] as const) {
  test(`nobody sees what was said before they were ${visibility}, before and after ${told} can be had`, async () => {
    const it = await scene()
    const { world, a, b, c, alice, carol, roomId } = it
    const content = { history_visibility: visibility }
    await setState(it, { type: 'm.room.history_visibility', content })
    for (const body of ['one', 'two', 'three']) await a.say(alice, roomId, body)
    await comesNear(it)
    const join = await joined(it)
    const end = { stream: Number.MAX_SAFE_INTEGER, sub: 0 }
    await world.await(c.rooms.fillHistory(roomId, end, 3))
    assert.equal((await timeline(c, roomId)).length, 4)
    const shown = async () => {
      const access = await roomAccess(c.rooms, carol, roomId)
      const visible = await visibleEvents(c.rooms, access, await timeline(c, roomId))
      return visible.map(({ stored }) => stored.pdu)
    }
    const before = await shown()
    assert.deepEqual(
      before.map(({ state_key }) => state_key),
      [carol, carol],
    )
    assert.equal(before.at(-1)?.event_id, join)
    if (told !== 'all states') giveOnlyStateBefore(join, [a, b])
    await complete(it)
    assert.deepEqual(await shown(), before)
  })
}

test('what is heard late of that by which the state was made is no end of the room', async () => {
  const it = await scene()
  const { world, a, b, c, alice, roomId } = it
  const levels = { type: 'm.room.power_levels', content: { users: { [alice]: 100 } } }
  const first = (await a.rooms.currentState(roomId))?.eventId(levels.type, '') ?? assert.fail()
  await setState(it, levels)
  await world.settle()
  const join = await joined(it)
  const event = (await a.rooms.event(roomId, first)) ?? assert.fail()
  await world.await(c.engine.takeIn(b.name, [event.pdu.bytes]))
  await world.settle(20_000)
  assert.equal((await c.rooms.event(roomId, first))?.status, 'accepted')
  assert.deepEqual(await c.engine.forwardExtremities(roomId), [join])
  await complete(it)
})

test('what is spoken beside the join is heard', async () => {
  const it = await scene()
  const { world, a, b, c, alice, bob, carol, roomId } = it
  world.cut(a, b)
  await a.say(alice, roomId, 'on one side')
  await b.say(bob, roomId, 'on the other side')
  await joined(it)
  world.heal()
  await world.settle(120_000)
  await b.say(bob, roomId, 'on both sides')
  await world.settle(120_000)
  const heard = await c.messages(roomId)
  assert.ok(heard.includes('on the other side'), heard.join())
  assert.ok(heard.includes('on both sides'), heard.join())
  await c.say(carol, roomId, 'hello')
  await world.settle(120_000)
  await complete(it)
  assert.equal(new Set(await c.messages(roomId)).size, (await c.messages(roomId)).length)
})

/** Events of somebody, each after the one before, of which the first follows what nobody has. */
async function chainFromNowhere(
  { b, bob, roomId, version }: Scene,
  length: number,
): Promise<Map<EventId, Pdu>> {
  const message = { sender: bob, type: 'm.room.message', content: { body: 'from nowhere' } }
  const { draft } = await b.engine.draft(roomId, message)
  const chain = new Map<EventId, Pdu>()
  let before: EventId = `$${'A'.repeat(43)}`
  for (let index = 0; index < length; index += 1) {
    const prev_events = [{ event_id: before }]
    const built = buildPdu(version, { ...draft, depth: 5 + index, prev_events }, b.signer)
    assert.ok(built.ok)
    chain.set(built.pdu.event_id, built.pdu)
    before = built.pdu.event_id
  }
  return chain
}

/** Gives some of a chain to who asks for it. */
function giving(chain: ReadonlyMap<EventId, Pdu>): NonNullable<TestServer['intercept']> {
  const from = (eventId: EventId | undefined, count: number) => {
    const given: JsonObject[] = []
    for (let next = eventId; next !== undefined && given.length < count; ) {
      const pdu = chain.get(next)
      if (pdu !== undefined) given.push(pdu.json)
      next = pdu?.prev_events[0]
    }
    return given
  }
  return async (_, path) => {
    const named = [...chain.keys()].find((id) => path.includes(id))
    if (/\/state(_ids)?\//.test(path)) return { nothing: true }
    if (path.includes('/event/')) return named && { pdus: from(named, 1) }
    if (path.includes('/backfill/')) return named && { pdus: from(named, 20) }
    if (!path.includes('/get_missing_events/')) return undefined
    return {
      events: from([...chain.keys()].at(-1), 21)
        .slice(1)
        .toReversed(),
    }
  }
}

for (const length of [2, 30, 300]) {
  test(`what leads to ${length} events from nowhere is nothing that we follow`, async () => {
    const it = await scene()
    const { world, a, b, c, bob, carol, roomId } = it
    const join = await joined(it)
    await world.settle()
    const chain = await chainFromNowhere(it, length)
    b.intercept = giving(chain)
    const [tip] = [...chain.values()].slice(-1)
    await world.await(c.engine.takeIn(b.name, [tip?.bytes ?? assert.fail()]))
    await world.settle(120_000)
    assert.deepEqual(await c.engine.forwardExtremities(roomId), [join])
    await c.say(carol, roomId, 'hello')
    await world.settle()
    assert.deepEqual(await a.messages(roomId), ['hello'])
    // When all is known, such an event is as it is in any other room.
    b.intercept = undefined
    await complete(it)
    await b.say(bob, roomId, 'hi')
    await world.settle(7 * 3_600_000)
    for (const server of [a, c]) assert.deepEqual(await server.messages(roomId), ['hello', 'hi'])
  })
}

test('what follows history that we have not got is heard before the whole state is known', async () => {
  const it = await scene()
  const { world, a, b, c, alice, bob, carol, roomId } = it
  world.cut(a, b)
  for (let count = 0; count < 150; count += 1) await a.say(alice, roomId, `on one side ${count}`)
  await b.say(bob, roomId, 'on the other side')
  await joined(it)
  world.heal()
  await world.settle(120_000)
  await b.say(bob, roomId, 'on both sides')
  await world.settle(120_000)
  const heard = await c.messages(roomId)
  assert.deepEqual(heard.slice(-2), ['on the other side', 'on both sides'])
  await c.say(carol, roomId, 'hello')
  await world.settle(120_000)
  for (const server of [a, b]) assert.equal((await server.messages(roomId)).at(-1), 'hello')
  await complete(it)
})
