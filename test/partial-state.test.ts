/**
 * Joining a room without most of its members: it is used at once, and is in the end what it would be
 * had all of it been there from the beginning, whatever happens meanwhile.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { buildPdu } from '../src/protocol/build-pdu.ts'
import type { EventId, RoomId, UserId } from '../src/protocol/identifiers/ids.ts'
import type { JsonObject } from '../src/protocol/json.ts'
import { MatrixError } from '../src/protocol/matrix-error.ts'
import type { Pdu } from '../src/protocol/pdu.ts'
import { type RoomVersion, roomVersions } from '../src/protocol/room-version.ts'
import { FederationWorld, type TestServer } from './federation-world.ts'

const versions = ['1', '3', '10', '12'].map((id) => roomVersions.get(id) ?? assert.fail())

interface Scene {
  readonly world: FederationWorld
  readonly version: RoomVersion
  /** The resident through which others join. */
  readonly a: TestServer
  readonly b: TestServer
  readonly c: TestServer
  readonly alice: UserId
  readonly bob: UserId
  readonly carol: UserId
  readonly roomId: RoomId
  /** Whether the residents give their state to who asks for it afterwards. */
  open: boolean
}

/** A named room with members on two servers; a third one is to join. */
async function scene(
  version = roomVersions.get('11') ?? assert.fail(),
  options: Parameters<TestServer['createRoom']>[2] = {},
): Promise<Scene> {
  const world = new FederationWorld()
  const [a, b, c] = await world.start('a', 'b', 'c')
  const [alice, bob, carol] = [a.user('alice'), b.user('bob'), c.user('carol')]
  const roomId = await a.createRoom(alice, version, {
    ...options,
    events: [
      { type: 'm.room.name', state_key: '', content: { name: 'The Hall' } },
      ...(options.events ?? []),
    ],
  })
  for (const index of [1, 2, 3]) await a.join(a.user(`guest${index}`), roomId)
  await b.join(bob, roomId, [a])
  await world.settle()
  const it: Scene = { world, version, a, b, c, alice, bob, carol, roomId, open: false }
  for (const server of [a, b]) {
    server.intercept = async (_, path) =>
      it.open || !/\/state(_ids)?\//.test(path) ? undefined : { nothing: true }
  }
  return it
}

/** Carol joins, and what her server is not told stays so. */
async function joined(it: Scene): Promise<EventId> {
  const eventId = await it.c.join(it.carol, it.roomId, [it.a])
  assert.ok(await it.c.rooms.partialState(it.roomId))
  return eventId
}

async function complete(it: Scene): Promise<void> {
  it.open = true
  await it.world.settle(600_000)
  assert.equal(await it.c.rooms.partialState(it.roomId), undefined)
  assert.deepEqual(await it.c.rooms.partialRooms(), [])
  await assertSame(it)
}

/** The servers agree on the room. */
async function assertSame({ a, b, c, roomId }: Scene): Promise<void> {
  assert.deepEqual(await c.stateOf(roomId), await a.stateOf(roomId))
  assert.deepEqual(await b.stateOf(roomId), await a.stateOf(roomId))
  const ends = async (server: TestServer) =>
    (await server.engine.forwardExtremities(roomId)).toSorted()
  assert.deepEqual(await ends(c), await ends(a))
  assert.deepEqual([a.errors, b.errors, c.errors], [[], [], []])
}

const state = (it: Scene, event: { type: string; content: JsonObject }, stateKey = '') =>
  it.a.send(it.roomId, { sender: it.alice, state_key: stateKey, ...event })

for (const version of versions) {
  test(`version ${version.id}: a room is used while most of its members are not known`, async () => {
    const it = await scene(version)
    const { world, a, b, c, alice, bob, carol, roomId } = it
    await joined(it)
    assert.equal(await c.membershipIn(roomId, bob), undefined)
    assert.deepEqual((await c.rooms.serversInRoom(roomId)).toSorted(), [a.name, b.name, c.name])
    await c.say(carol, roomId, 'hello')
    await world.settle()
    for (const server of [a, b]) assert.deepEqual(await server.messages(roomId), ['hello'])
    await b.say(bob, roomId, 'hi')
    await world.settle()
    await a.say(alice, roomId, 'welcome')
    await state(it, { type: 'm.room.topic', content: { topic: 'halls' } })
    await world.settle()
    assert.deepEqual(await c.messages(roomId), ['hello', 'hi', 'welcome'])
    // Who speaks shows by it that they are in the room.
    assert.equal(await c.membershipIn(roomId, bob), 'join')
    await complete(it)
    assert.deepEqual(await c.messages(roomId), ['hello', 'hi', 'welcome'])
  })

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

test('history that came while members were unknown has the states that it makes itself, if nobody gives them', async () => {
  const it = await scene()
  const { world, a, b, c, alice, roomId } = it
  for (const body of ['one', 'two', 'three']) await a.say(alice, roomId, body)
  const join = await joined(it)
  const end = { stream: Number.MAX_SAFE_INTEGER, sub: 0 }
  // From its end on, a few events at a time: what an event follows comes after it.
  const fill = () => world.await(c.rooms.fillHistory(roomId, end, 3))
  for (let brought = await fill(); brought > 0; ) brought = await fill()
  for (const server of [a, b]) {
    server.intercept = async (_, path) =>
      /\/state(_ids)?\//.test(path) && !path.includes(join) ? { nothing: true } : undefined
  }
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

test('what is heard late of that by which the state was made is no end of the room', async () => {
  const it = await scene()
  const { world, a, b, c, alice, roomId } = it
  const levels = { type: 'm.room.power_levels', content: { users: { [alice]: 100 } } }
  const first = (await a.rooms.currentState(roomId))?.eventId(levels.type, '') ?? assert.fail()
  await state(it, levels)
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

test('who was banned before is heard no more when that is known', async () => {
  const it = await scene()
  const { world, a, b, c, bob, alice, carol, roomId } = it
  world.cut(a, b)
  await a.setMembership(alice, roomId, bob, 'ban')
  const said = await b.say(bob, roomId, 'you cannot ban me')
  await joined(it)
  const event = (await b.rooms.event(roomId, said)) ?? assert.fail()
  await world.await(c.engine.takeIn(b.name, [event.pdu.bytes]))
  await world.settle(20_000)
  assert.deepEqual(await c.messages(roomId), ['you cannot ban me'])
  await c.say(carol, roomId, 'who is there?')
  it.open = true
  await world.settle(600_000)
  assert.deepEqual(await c.messages(roomId), ['who is there?'])
  assert.equal((await c.rooms.event(roomId, said))?.status, 'soft_failed')
  assert.equal(await c.membershipIn(roomId, bob), 'ban')
  world.heal()
  await world.settle(600_000)
  assert.deepEqual(await c.stateOf(roomId), await a.stateOf(roomId))
})

test('nobody is let in through a server that does not know all members', async () => {
  const it = await scene()
  const { world, a, c, roomId } = it
  const [d] = await world.start('d')
  const dora = d.user('dora')
  await joined(it)
  const encoded = [roomId, dora].map(encodeURIComponent)
  const made = await d.request(
    c,
    'GET',
    `/_matrix/federation/v1/make_join/${encoded.join('/')}?ver=11`,
  )
  assert.deepEqual([made.status, made.body.errcode], [400, 'M_UNABLE_TO_GRANT_JOIN'])
  const knock = await d.request(
    c,
    'GET',
    `/_matrix/federation/v1/make_knock/${encoded.join('/')}?ver=11`,
  )
  assert.deepEqual([knock.status, knock.body.errcode], [404, 'M_NOT_FOUND'])
  await d.join(dora, roomId, [c, a])
  await world.settle()
  assert.equal(await c.membershipIn(roomId, dora), 'join')
  const [end = ''] = await c.engine.forwardExtremities(roomId)
  for (const operation of ['state', 'state_ids']) {
    const target = `/_matrix/federation/v1/${operation}/${encoded[0]}?event_id=${encodeURIComponent(end)}`
    const { status, body } = await a.request(c, 'GET', target)
    assert.deepEqual([status, body.errcode], [404, 'M_NOT_FOUND'])
  }
  await complete(it)
  const { status } = await a.request(
    c,
    'GET',
    `/_matrix/federation/v1/state_ids/${encoded[0]}?event_id=${encodeURIComponent(end)}`,
  )
  assert.equal(status, 200)
})

test('another user of ours joins meanwhile', async () => {
  const it = await scene()
  const { world, a, c, carol, roomId } = it
  await joined(it)
  const chris = c.user('chris')
  await c.join(chris, roomId, [a])
  assert.deepEqual(await c.rooms.localMembers(roomId), [carol, chris])
  await world.settle()
  await complete(it)
})

test('a banned user of ours does not get in meanwhile', async () => {
  const it = await scene()
  const { a, c, alice, roomId } = it
  const chris = c.user('chris')
  await a.setMembership(alice, roomId, chris, 'ban')
  await joined(it)
  await assert.rejects(c.join(chris, roomId, [a]), { errcode: 'M_FORBIDDEN' })
  await complete(it)
  assert.equal((await c.rooms.membership(chris, roomId))?.membership, 'ban')
})

test('a banned user of ours whom a branch from before the ban brings back says nothing', async () => {
  const it = await scene()
  const { world, a, b, c, alice, bob, carol, roomId } = it
  const chris = c.user('chris')
  it.open = true
  for (const user of [carol, chris]) await c.join(user, roomId, [a])
  await world.settle()
  it.open = false
  for (const server of [a, c]) world.cut(b, server)
  await b.say(bob, roomId, 'before all that')
  await a.setMembership(alice, roomId, chris, 'ban')
  await world.await(c.rooms.leave({ userId: carol, roomId, content: {} }))
  await world.settle()
  await joined(it)
  world.heal()
  await world.settle(60_000)
  assert.ok((await c.messages(roomId)).includes('before all that'))
  await assert.rejects(c.say(chris, roomId, 'still here'), { errcode: 'M_FORBIDDEN' })
  // But they may leave.
  assert.ok((await c.rooms.localMembers(roomId)).includes(chris))
  await world.await(c.rooms.leave({ userId: chris, roomId, content: {} }))
  assert.deepEqual(await c.rooms.localMembers(roomId), [carol])
  assert.equal((await c.rooms.membership(chris, roomId))?.membership, 'leave')
  await world.await(c.rooms.leave({ userId: chris, roomId, content: {} }))
  await c.say(carol, roomId, 'back again')
  await world.settle(60_000)
  await complete(it)
  assert.equal(await c.membershipIn(roomId, chris), 'ban')
  assert.equal((await c.rooms.membership(chris, roomId))?.membership, 'ban')
  assert.ok((await a.messages(roomId)).includes('back again'))
})

test('we leave, and come back, before all members are known', async () => {
  const it = await scene()
  const { world, a, c, alice, carol, roomId } = it
  await joined(it)
  await world.await(c.rooms.leave({ userId: carol, roomId, content: {} }))
  await world.settle(60_000)
  assert.equal(await a.membershipIn(roomId, carol), 'leave')
  await a.say(alice, roomId, 'she is gone')
  await world.settle(60_000)
  await joined(it)
  await a.say(alice, roomId, 'she is back')
  await world.settle()
  assert.deepEqual(await c.messages(roomId), ['she is back'])
  await complete(it)
})

test('we are kicked by somebody we do not know of, and all is given up until we come back', async () => {
  const it = await scene()
  const { world, a, c, alice, carol, roomId } = it
  await joined(it)
  await a.setMembership(alice, roomId, carol, 'leave')
  await world.settle(60_000)
  assert.equal((await c.rooms.membership(carol, roomId))?.membership, 'leave')
  it.open = true
  const asked = world.requests.length
  await world.settle(3_600_000)
  assert.deepEqual(
    world.requests.slice(asked).filter((request) => request.includes('/state')),
    [],
  )
  await c.join(carol, roomId, [a])
  await complete(it)
})

test('who comes back through a server that leaves nothing out learns what was left out before', async () => {
  const it = await scene()
  const { world, a, c, alice, carol, roomId } = it
  await joined(it)
  await a.setMembership(alice, roomId, carol, 'leave')
  await world.settle(3_600_000)
  a.intercept = async (_, path) =>
    path.includes('/v2/send_join/')
      ? new MatrixError(404, 'M_UNRECOGNIZED', 'This server is older than that.')
      : undefined
  await c.join(carol, roomId, [a])
  await complete(it)
})

test('who comes back so goes on from there, whatever was said while they were away', async () => {
  const it = await scene()
  const { world, a, b, c, alice, bob, carol, roomId } = it
  await joined(it)
  await a.setMembership(alice, roomId, carol, 'ban')
  await world.settle(60_000)
  await a.setMembership(alice, roomId, carol, 'leave')
  await a.setMembership(alice, roomId, bob, 'ban')
  await world.settle(60_000)
  a.intercept = async (_, path) =>
    path.includes('/v2/send_join/')
      ? new MatrixError(404, 'M_UNRECOGNIZED', 'This server is older than that.')
      : undefined
  await c.join(carol, roomId, [a])
  a.intercept = undefined
  await world.settle(600_000)
  assert.equal(await c.rooms.partialState(roomId), undefined)
  assert.deepEqual(await c.stateOf(roomId), await a.stateOf(roomId))
  const ends = async (server: TestServer) => await server.engine.forwardExtremities(roomId)
  assert.deepEqual(await ends(c), await ends(a))
  assert.deepEqual([a.errors, b.errors, c.errors], [[], [], []])
})

test('a member we do not know of is kicked when we know who it is', async () => {
  const users = { '@alice:a.test:8448': 100, '@carol:c.test:8448': 50 }
  const it = await scene(undefined, { powerLevels: { users } })
  const { world, a, c, carol, roomId } = it
  const guest = a.user('guest1')
  await joined(it)
  it.open = true
  await c.setMembership(carol, roomId, guest, 'ban')
  await world.settle()
  assert.equal(await a.membershipIn(roomId, guest), 'ban')
  await complete(it)
})

test('a user of ours whom the whole state brings back is in the room again', async () => {
  const it = await scene()
  const { world, a, b, c, bob, carol, roomId } = it
  it.open = true
  const claire = c.user('claire')
  const rules = (join_rule: string) =>
    state(it, { type: 'm.room.join_rules', content: { join_rule } })
  await c.join(carol, roomId, [a])
  await world.settle(60_000)
  // She comes in beside a change by which she could not have: the two together put her out.
  world.cut(a, b)
  world.cut(a, c)
  await c.join(claire, roomId, [b])
  await world.settle(60_000)
  world.cut(b, c)
  await b.say(bob, roomId, 'she is here')
  await rules('invite')
  world.heal()
  world.cut(a, b)
  world.cut(b, c)
  await world.settle(600_000)
  assert.equal((await c.rooms.membership(claire, roomId))?.membership, 'leave')
  await world.await(c.rooms.leave({ userId: carol, roomId, content: {} }))
  await world.settle(60_000)
  // When anybody may come in, what was said of her brings her back, and nobody tells her server.
  await rules('public')
  await world.settle(60_000)
  world.heal()
  world.cut(b, c)
  await world.settle(3_600_000)
  assert.equal(await a.membershipIn(roomId, claire), 'join')
  assert.equal((await c.rooms.membership(claire, roomId))?.membership, 'leave')
  it.open = false
  await joined(it)
  world.heal()
  await complete(it)
  assert.equal((await c.rooms.membership(claire, roomId))?.membership, 'join')
})

test('a crash at any moment loses nothing', async () => {
  for (let ms = 5; ms < 1500; ms += ms < 200 ? 5 : 100) {
    const it = await scene()
    const { world, a, b, c, alice, bob, carol, roomId } = it
    let open = false
    const joining = c.rooms.join({ userId: carol, roomId, via: [a.name], content: {} })
    joining.catch(() => {})
    await world.settle(ms)
    await b.say(bob, roomId, 'before')
    open = ms % 2 === 1
    it.open = open
    c.stop()
    it.open = true
    await c.restart()
    if (!(await c.rooms.isServerInRoom(c.name, roomId))) await c.join(carol, roomId, [a])
    await a.say(alice, roomId, 'after')
    await world.settle(600_000)
    assert.equal(await c.rooms.partialState(roomId), undefined, `after ${ms} ms`)
    await assertSame(it)
    assert.ok((await c.messages(roomId)).includes('after'))
  }
})

test('a crash while all is judged again loses nothing', async () => {
  for (let ms = 0; ms < 60; ms += 2) {
    const it = await scene()
    const { world, a, b, c, alice, bob, carol, roomId } = it
    await joined(it)
    for (let index = 0; index < 5; index += 1) {
      await a.say(alice, roomId, `a${index}`)
      await b.say(bob, roomId, `b${index}`)
      await c.say(carol, roomId, `c${index}`)
    }
    await world.settle(1000)
    const before = await c.messages(roomId)
    it.open = true
    c.rooms.completeState(roomId)
    await world.settle(ms)
    c.stop()
    await c.restart()
    await world.settle(600_000)
    assert.equal(await c.rooms.partialState(roomId), undefined)
    assert.deepEqual(await c.messages(roomId), before)
    await assertSame(it)
  }
})

test('a full disk is waited for', async () => {
  const it = await scene()
  await joined(it)
  it.c.fillDisk(true)
  // The pages that it has are used up first.
  for (const size of [50_000, 3000, 10]) {
    const say = () => it.c.say(it.carol, it.roomId, 'x'.repeat(size))
    for (let isRoomLeft = true; isRoomLeft; ) {
      isRoomLeft = await say().then(
        () => true,
        () => false,
      )
    }
  }
  it.open = true
  await it.world.settle(60_000)
  assert.ok(await it.c.rooms.partialState(it.roomId))
  it.c.fillDisk(false)
  await complete(it)
})

test('servers that the resident did not name get what was said meanwhile', async () => {
  const it = await scene()
  const { world, a, b, c, carol, roomId } = it
  const blocked = a.intercept ?? assert.fail()
  a.intercept = async (method, path, answer) =>
    path.includes('/send_join/')
      ? { ...(await answer()), servers_in_room: [] }
      : await blocked(method, path, answer)
  await joined(it)
  assert.deepEqual((await c.rooms.serversInRoom(roomId)).toSorted(), [a.name, c.name])
  await c.say(carol, roomId, 'can you hear me?')
  await world.settle()
  assert.deepEqual(await b.messages(roomId), [])
  await complete(it)
  assert.deepEqual(await b.messages(roomId), ['can you hear me?'])
})

test('if the resident gives no whole state, another server does', async () => {
  const it = await scene()
  const { b, c, roomId } = it
  await joined(it)
  b.intercept = undefined
  await it.world.settle(600_000)
  assert.equal(await c.rooms.partialState(roomId), undefined)
  await assertSame(it)
})

test('a resident that does not answer is not waited for', async () => {
  const it = await scene()
  const { a, b, c, roomId } = it
  await joined(it)
  a.intercept = async (_, path) =>
    /\/state(_ids)?\//.test(path) ? await new Promise(() => {}) : undefined
  b.intercept = undefined
  c.rooms.completeState(roomId)
  await it.world.settle(100_000)
  assert.equal(await c.rooms.partialState(roomId), undefined)
  await assertSame(it)
})

test('a state without some of what was given at the join is not believed', async () => {
  const it = await scene()
  const { a, b, c, roomId } = it
  const name = (await a.rooms.currentState(roomId))?.eventId('m.room.name', '') ?? assert.fail()
  let lied = 0
  a.intercept = async (_, path, answer) => {
    if (path.includes('/state/')) return { nothing: true }
    if (!path.includes('/state_ids/')) return undefined
    lied += 1
    const { pdu_ids, ...rest } = (await answer()) as { pdu_ids: string[] }
    return { ...rest, pdu_ids: pdu_ids.filter((id) => id !== name) }
  }
  await joined(it)
  await it.world.settle(60_000)
  assert.ok(lied > 0)
  assert.ok(await c.rooms.partialState(roomId))
  const [incomplete] = await c.rooms.partialRooms()
  assert.match(incomplete?.problem ?? '', /contradicts our join: .*m\.room\.name/)
  assert.ok((incomplete?.tries ?? 0) > 0)
  b.intercept = undefined
  await it.world.settle(600_000)
  assert.equal(await c.rooms.partialState(roomId), undefined)
  await assertSame(it)
})

test('a state with two memberships of one member is not believed', async () => {
  const it = await scene()
  const { a, b, c, alice, bob, roomId } = it
  const old = (await a.rooms.currentState(roomId))?.eventId('m.room.member', alice)
  const renamed = { membership: 'join', displayname: 'Alice' }
  await state(it, { type: 'm.room.member', content: renamed }, alice)
  await it.world.settle()
  let lied = 0
  a.intercept = async (_, path, answer) => {
    if (path.includes('/state/')) return { nothing: true }
    if (!path.includes('/state_ids/')) return undefined
    lied += 1
    const { pdu_ids, ...rest } = (await answer()) as { pdu_ids: EventId[] }
    return { ...rest, pdu_ids: [...pdu_ids, old ?? assert.fail()] }
  }
  await joined(it)
  await it.world.settle(60_000)
  assert.ok(lied > 0)
  assert.ok(await c.rooms.partialState(roomId))
  b.intercept = undefined
  await b.say(bob, roomId, 'ask me')
  await it.world.settle(600_000)
  assert.equal(await c.rooms.partialState(roomId), undefined)
  await assertSame(it)
})

test('where the resident lied at the join, two others are believed', async () => {
  const it = await scene()
  const { world, a, b, c, roomId } = it
  const [d] = await world.start('d')
  await d.join(d.user('dora'), roomId, [a])
  await world.settle()
  a.intercept = async (_, path, answer) => {
    if (/\/state(_ids)?\//.test(path)) return { nothing: true }
    if (!path.includes('/send_join/')) return undefined
    const { state: given, ...rest } = (await answer()) as { state: JsonObject[] }
    return { ...rest, state: given.filter(({ type }) => type !== 'm.room.name') }
  }
  await joined(it)
  assert.equal((await c.rooms.currentState(roomId))?.eventId('m.room.name', ''), undefined)
  b.intercept = undefined
  await world.settle(600_000)
  assert.equal(await c.rooms.partialState(roomId), undefined)
  await assertSame(it)
})

test('a state in which nothing was left out is known twice in one room', async () => {
  const world = new FederationWorld()
  const [a, c] = await world.start('a', 'c')
  const [alice, carol] = [a.user('alice'), c.user('carol')]
  const roomId = await a.createRoom(alice, roomVersions.get('11') ?? assert.fail())
  for (const round of [1, 2, 3]) {
    await c.join(carol, roomId, [a])
    await world.settle(60_000)
    assert.equal(await c.rooms.partialState(roomId), undefined)
    await a.say(alice, roomId, `round ${round}`)
    await world.settle()
    assert.deepEqual(await c.stateOf(roomId), await a.stateOf(roomId))
    await world.await(c.rooms.leave({ userId: carol, roomId, content: {} }))
    await world.settle()
  }
  assert.deepEqual([a.errors, c.errors], [[], []])
})

const withoutState = (type: string) => (answer: JsonObject) => ({
  ...answer,
  state: (answer.state as JsonObject[]).filter((event) => event.type !== type),
})

const unusable: [what: string, change: (answer: JsonObject) => JsonObject][] = [
  ['no servers', ({ servers_in_room: _, ...rest }) => rest],
  ['servers that are no list', (answer) => ({ ...answer, servers_in_room: 'all' })],
  ['no create event', withoutState('m.room.create')],
  ['no power levels', withoutState('m.room.power_levels')],
  ['no join rules', withoutState('m.room.join_rules')],
  ['no state', (answer) => ({ ...answer, state: [] })],
  [
    'another room',
    (answer) => ({
      ...answer,
      state: (answer.state as JsonObject[]).map((event) => ({ ...event, room_id: '!x:a.test' })),
    }),
  ],
  [
    'an event twice',
    (answer) => ({
      ...answer,
      state: [...(answer.state as JsonObject[]), ...(answer.state as JsonObject[]).slice(0, 1)],
    }),
  ],
]

for (const [what, change] of unusable) {
  test(`a resident that leaves members out and gives ${what} is of no help`, async () => {
    const it = await scene()
    const { a, b, c, carol, roomId } = it
    it.open = true
    a.intercept = async (_, path, answer) =>
      path.includes('/send_join/') ? change(await answer()) : undefined
    await assert.rejects(c.join(carol, roomId, [a]), { status: 502 })
    assert.equal(await c.rooms.version(roomId), undefined)
    assert.equal(await c.rooms.membership(carol, roomId), undefined)
    assert.deepEqual(await c.rooms.partialRooms(), [])
    await c.join(carol, roomId, [a, b])
    // The join that came to nothing here is one of the room's ends there.
    await a.say(it.alice, roomId, 'welcome')
    await complete(it)
  })
}

test('of servers that the resident makes up, none does harm', async () => {
  const it = await scene()
  const { a, b, c, carol, roomId } = it
  const blocked = a.intercept ?? assert.fail()
  const made = [
    ...Array.from({ length: 50 }, (_, index) => `made-up${index}.test`),
    'no name',
    7,
    '',
  ]
  a.intercept = async (method, path, answer) =>
    path.includes('/send_join/')
      ? { ...(await answer()), servers_in_room: [...made, c.name, b.name] }
      : await blocked(method, path, answer)
  await joined(it)
  assert.equal((await c.rooms.serversInRoom(roomId)).length, 53)
  await c.say(carol, roomId, 'hello')
  await it.world.settle()
  for (const server of [a, b]) assert.deepEqual(await server.messages(roomId), ['hello'])
  await complete(it)
  assert.equal((await c.rooms.serversInRoom(roomId)).length, 3)
})

test('who authorised our join need not be known', async () => {
  const version = roomVersions.get('11') ?? assert.fail()
  const world = new FederationWorld()
  const [a, b, c] = await world.start('a', 'b', 'c')
  const [alice, bob, carol] = [a.user('alice'), b.user('bob'), c.user('carol')]
  const club = await b.createRoom(bob, version)
  await c.join(carol, club, [b])
  await a.join(alice, club, [b])
  const allow = [{ type: 'm.room_membership', room_id: club }]
  const roomId = await a.createRoom(alice, version, {
    joinRules: { join_rule: 'restricted', allow },
    events: [{ type: 'm.room.name', state_key: '', content: { name: 'For members' } }],
  })
  await b.join(bob, roomId, [a])
  await world.settle()
  const it: Scene = { world, version, a, b, c, alice, bob, carol, roomId, open: false }
  for (const server of [a, b]) {
    server.intercept = async (_, path) =>
      it.open || !/\/state(_ids)?\//.test(path) ? undefined : { nothing: true }
  }
  // Who may not invite cannot let anybody in, so the next one is asked.
  await world.await(c.rooms.join({ userId: carol, roomId, via: [b.name, a.name], content: {} }))
  assert.ok(await c.rooms.partialState(roomId))
  await c.say(carol, roomId, 'I am in')
  await world.settle()
  assert.deepEqual(await a.messages(roomId), ['I am in'])
  await complete(it)
})

const outside = new MatrixError(403, 'M_FORBIDDEN', 'Your server is not in this room.')

/** Refuses what is asked about a room, as servers do to those who are not in it. */
function shutOut(it: Scene): void {
  for (const server of [it.a, it.b]) {
    server.intercept = async (_, path) =>
      it.open || !/\/(state|state_ids|event|event_auth|backfill|get_missing_events)\//.test(path)
        ? undefined
        : outside
  }
}

/** Carol comes back into a room, is cut off, and put out while much is said. */
async function putOutUnheard(it: Scene): Promise<void> {
  const { world, a, b, c, alice, carol, roomId } = it
  it.open = true
  await c.join(carol, roomId, [a])
  await world.await(c.rooms.leave({ userId: carol, roomId, content: {} }))
  await world.settle()
  await a.say(alice, roomId, 'meanwhile')
  it.open = false
  await joined(it)
  for (const server of [a, b]) world.cut(c, server)
  // More than is asked for back to what is known.
  for (let index = 0; index < 250; index += 1) await a.say(alice, roomId, `said ${index}`)
  await a.setMembership(alice, roomId, carol, 'leave')
  await world.settle(2 * 86_400_000)
}

const dayMs = 86_400_000

test('who was put out unheard learns the state before their join, and then that they are out', async () => {
  const it = await scene()
  const { world, c, carol, roomId } = it
  await putOutUnheard(it)
  it.open = true
  world.heal()
  await world.settle(dayMs)
  assert.equal(await c.membershipIn(roomId, carol), 'leave')
  assert.equal(await c.rooms.partialState(roomId), undefined)
  world.requests.length = 0
  await world.settle(10 * dayMs)
  assert.deepEqual(world.requests, [])
})

for (const isEmpty of [false, true]) {
  const where = isEmpty ? 'a room that all have left' : 'a room'
  test(`who was put out of ${where} unheard believes it when nobody tells them anything`, async () => {
    const it = await scene()
    const { world, a, b, c, alice, bob, carol, roomId } = it
    await putOutUnheard(it)
    const others = isEmpty ? [alice, ...[1, 2, 3].map((index) => a.user(`guest${index}`))] : []
    for (const userId of others) await world.await(a.rooms.leave({ userId, roomId, content: {} }))
    if (isEmpty) await world.await(b.rooms.leave({ userId: bob, roomId, content: {} }))
    shutOut(it)
    world.heal()
    await world.settle(2 * dayMs)
    assert.equal(await c.membershipIn(roomId, carol), 'leave')
    assert.equal((await c.rooms.membership(carol, roomId))?.membership, 'leave')
    world.requests.length = 0
    await world.settle(10 * dayMs)
    assert.deepEqual(world.requests, [])
    assert.deepEqual(c.errors, [])
  })
}

test('who is told nothing of a room asks no more, until they hear of it', async () => {
  const it = await scene()
  const { world, a, c, alice, roomId } = it
  shutOut(it)
  await joined(it)
  await world.settle(dayMs)
  world.requests.length = 0
  await world.settle(10 * dayMs)
  assert.deepEqual(world.requests, [])
  const [partial] = await c.rooms.partialRooms()
  assert.match(partial?.problem ?? '', /refuses with 403/)
  await a.say(alice, roomId, 'you were shut out by mistake')
  await complete(it)
})

test('as long as somebody gives anything at all, it is asked on', async () => {
  const it = await scene()
  const { world, a, b, c, roomId } = it
  a.intercept = async (_, path) => (/\/state(_ids)?\//.test(path) ? {} : undefined)
  await joined(it)
  world.cut(c, b)
  await world.settle(dayMs)
  world.requests.length = 0
  await world.settle(dayMs)
  assert.ok(world.requests.some((line) => line.includes('/state_ids/')))
  a.intercept = undefined
  world.heal()
  await world.settle(3_600_000)
  assert.equal(await c.rooms.partialState(roomId), undefined)
})
