/**
 * How the members that were left out at a join become known: from whom, whatever is said that is not
 * true, and whatever happens to this server meanwhile.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EventId } from '../src/protocol/identifiers/ids.ts'
import type { JsonObject } from '../src/protocol/json.ts'
import type { TestServer } from './federation-world.ts'
import { assertSame, complete, joined, scene, setState } from './partial-state-world.ts'

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
  await setState(it, { type: 'm.room.member', content: renamed }, alice)
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

test('what no server gives singly comes with the whole state', async () => {
  const it = await scene()
  const { a, b, c, roomId } = it
  const state = await a.rooms.currentState(roomId)
  const [withheld, other] = ['guest1', 'guest2'].map(
    (guest) => state?.eventId('m.room.member', a.user(guest)) ?? assert.fail(),
  )
  let lied = 0
  const lie: TestServer['intercept'] = async (_, path, answer) => {
    if (!path.endsWith(`/event/${withheld}`)) return undefined
    lied += 1
    const [pdu] = await a.rooms.events(roomId, [other ?? assert.fail()])
    return { ...((await answer()) as JsonObject), pdus: [pdu?.pdu.json ?? null] }
  }
  await joined(it)
  a.intercept = lie
  b.intercept = lie
  await it.world.settle(10_000)
  assert.ok(lied > 0)
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

test('a resident that lied at the join is believed later, if there is nobody else', async () => {
  const it = await scene()
  const { world, a, b, c, alice, bob, roomId } = it
  await world.await(b.rooms.leave({ userId: bob, roomId, content: {} }))
  await world.settle(60_000)
  a.intercept = async (_, path, answer) => {
    if (/\/state(_ids)?\//.test(path) && !it.open) return { nothing: true }
    if (!path.includes('/send_join/')) return undefined
    const { state: given, ...rest } = (await answer()) as { state: JsonObject[] }
    return { ...rest, state: given.filter(({ type }) => type !== 'm.room.name') }
  }
  await joined(it)
  it.open = true
  await world.settle(600_000)
  assert.equal(await c.rooms.partialState(roomId), undefined)
  assert.deepEqual(await c.stateOf(roomId), await a.stateOf(roomId))
  await a.say(alice, roomId, 'sorry')
  await world.settle()
  assert.deepEqual(await c.messages(roomId), ['sorry'])
})

const dayMs = 86_400_000

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

test('a server that by what was known was not in the room gets what was said meanwhile', async () => {
  const it = await scene()
  const { world, a, b, c, alice, carol, roomId } = it
  const [d] = await world.start('d')
  const dan = d.user('dan')
  await d.join(dan, roomId, [a])
  await world.settle(60_000)
  await world.await(d.rooms.leave({ userId: dan, roomId, content: {} }))
  await world.settle(60_000)
  await a.setMembership(alice, roomId, dan, 'invite')
  await world.settle()
  await joined(it)
  for (const server of [a, b, d]) world.cut(c, server)
  await c.say(carol, roomId, 'beside')
  // By the clock there dan comes back before he was invited. Who does not know of the invite in the
  // other branch takes it for the later news.
  d.skewMs = -3_600_000
  await d.join(dan, roomId, [a])
  await world.settle()
  world.heal()
  await world.settle(60_000)
  assert.equal(await a.membershipIn(roomId, dan), 'join')
  assert.equal(await c.membershipIn(roomId, dan), 'invite')
  await c.say(carol, roomId, 'can you hear me?')
  await world.settle()
  assert.ok(!(await d.messages(roomId)).includes('can you hear me?'))
  await complete(it)
  assert.equal(await c.membershipIn(roomId, dan), 'join')
  assert.ok((await d.messages(roomId)).includes('can you hear me?'))
})
