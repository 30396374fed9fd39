/**
 * Being put out of a room, or leaving it, before all of its members are known, and coming back.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MatrixError } from '../src/protocol/matrix-error.ts'
import { roomVersions } from '../src/protocol/room-version.ts'
import { FederationWorld, type TestServer } from './federation-world.ts'
import { ofOld } from './older-resident.ts'
import {
  assertSame,
  complete,
  joined,
  type Scene,
  scene,
  setState,
  versions,
} from './partial-state-world.ts'

const end = { stream: Number.MAX_SAFE_INTEGER, sub: 0 }

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

test('who left a room known in part, and is brought back by an old branch, says nothing', async () => {
  const it = await scene()
  const { world, a, b, c, bob, carol, roomId } = it
  const chris = c.user('chris')
  await c.join(chris, roomId, [a])
  await world.settle()
  for (const server of [a, c]) world.cut(b, server)
  await b.say(bob, roomId, 'before they left')
  await world.await(c.rooms.leave({ userId: chris, roomId, content: {} }))
  await world.settle()
  await joined(it)
  world.heal()
  await world.settle(60_000)
  assert.ok((await c.messages(roomId)).includes('before they left'))
  await assert.rejects(c.say(chris, roomId, 'still here'), { errcode: 'M_FORBIDDEN' })
  await c.say(carol, roomId, 'all alone')
  await complete(it)
  assert.equal(await c.membershipIn(roomId, chris), 'leave')
  assert.ok((await a.messages(roomId)).includes('all alone'))
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
  a.intercept = ofOld
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
  a.intercept = ofOld
  await c.join(carol, roomId, [a])
  a.intercept = undefined
  await world.settle(600_000)
  assert.equal(await c.rooms.partialState(roomId), undefined)
  assert.deepEqual(await c.stateOf(roomId), await a.stateOf(roomId))
  const ends = async (server: TestServer) => await server.engine.forwardExtremities(roomId)
  assert.deepEqual(await ends(c), await ends(a))
  assert.deepEqual([a.errors, b.errors, c.errors], [[], [], []])
})

test('of no join of ours a state is believed that does not let us in', async () => {
  const it = await scene()
  const { world, a, b, c, carol, roomId } = it
  const guest = a.user('guest4')
  const first = await joined(it)
  await a.join(guest, roomId)
  await a.say(guest, roomId, 'I am new here')
  await world.settle()
  await world.await(c.rooms.leave({ userId: carol, roomId, content: {} }))
  await world.settle()
  await joined(it)
  const rules = (await a.rooms.currentState(roomId))?.eventId('m.room.join_rules', '')
  let lied = 0
  a.intercept = async (_, path, answer) => {
    if (!path.includes('/state_ids/') || !path.includes(first)) return undefined
    lied += 1
    const { pdu_ids, ...rest } = (await answer()) as { pdu_ids: string[] }
    return { ...rest, pdu_ids: pdu_ids.filter((id) => id !== rules) }
  }
  b.intercept = undefined
  await world.settle(600_000)
  assert.ok(lied > 0)
  assert.equal(await c.rooms.partialState(roomId), undefined)
  await a.say(guest, roomId, 'I am here still')
  await world.settle()
  assert.deepEqual(await c.messages(roomId), ['I am new here', 'I am here still'])
  await assertSame(it)
})

test('what was said while we were away is read, though nobody tells the state from before we left', async () => {
  const it = await scene()
  const { world, a, b, c, carol, roomId } = it
  const first = await joined(it)
  await world.await(c.rooms.leave({ userId: carol, roomId, content: {} }))
  await world.settle(60_000)
  await a.say(a.user('guest1'), roomId, 'she is gone')
  await joined(it)
  for (const server of [a, b]) {
    server.intercept = async (_, path) =>
      /\/state(_ids)?\//.test(path) && path.includes(first) ? { nothing: true } : undefined
  }
  await world.settle(600_000)
  assert.equal(await c.rooms.partialState(roomId), undefined)
  await world.await(c.rooms.fillHistory(roomId, end, 100))
  assert.deepEqual(await c.messages(roomId), ['she is gone'])
  await assertSame(it)
})

for (const version of versions.filter(({ id }) => id !== '1')) {
  test(`version ${version.id}: who is back in the room when history shows what came before learns who else is`, async () => {
    const it = await scene(version)
    const { world, a, b, c, alice, bob, carol, roomId } = it
    await joined(it)
    await complete(it)
    world.cut(a, b)
    world.cut(b, c)
    await b.say(bob, roomId, 'before she left')
    await world.await(c.rooms.leave({ userId: carol, roomId, content: {} }))
    await world.settle(60_000)
    world.heal()
    world.cut(b, c)
    await world.settle(60_000)
    await a.say(alice, roomId, 'while she was away')
    // By her clock she comes back before she first came.
    c.skewMs = -24 * 3_600_000
    it.open = false
    await joined(it)
    world.heal()
    await world.settle(600_000)
    assert.equal(await c.rooms.isServerInRoom(c.name, roomId), false)
    await world.await(c.rooms.fillHistory(roomId, end, 100))
    assert.equal(await c.rooms.isServerInRoom(c.name, roomId), true)
    await complete(it)
  })
}

test('a user of ours whom the whole state brings back is in the room again', async () => {
  const it = await scene()
  const { world, a, b, c, bob, carol, roomId } = it
  it.open = true
  const claire = c.user('claire')
  const rules = (join_rule: string) =>
    setState(it, { type: 'm.room.join_rules', content: { join_rule } })
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

const dayMs = 86_400_000

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
  await world.settle(2 * dayMs)
}

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

test('what one has lost is not lost as long as another who may have it cannot be reached', async () => {
  const it = await scene()
  const { world, a, b, c, alice, bob, carol, roomId } = it
  it.open = true
  await c.join(carol, roomId, [a])
  await world.await(c.rooms.leave({ userId: carol, roomId, content: {} }))
  await world.settle()
  await a.say(alice, roomId, 'meanwhile')
  await world.settle()
  const lost = new MatrixError(404, 'M_NOT_FOUND', 'There is no such event here.')
  a.intercept = async (_, path) => (/\/state(_ids)?\//.test(path) ? lost : undefined)
  world.cut(c, b)
  await joined(it)
  await world.settle(dayMs)
  assert.ok(await c.rooms.partialState(roomId))
  world.heal()
  await b.say(bob, roomId, 'here I am')
  await complete(it)
})
