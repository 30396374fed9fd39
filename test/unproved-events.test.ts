/**
 * Events of servers that are gone, or give their keys to nobody: rooms are read past them and go on
 * behind them, and who was not let into a state for want of proof is heard when there is one.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EventId, UserId } from '../src/protocol/identifiers/ids.ts'
import { MatrixError } from '../src/protocol/matrix-error.ts'
import { roomVersions } from '../src/protocol/room-version.ts'
import { unfilledGap } from '../src/rooms/backfill.ts'
import { FederationWorld } from './federation-world.ts'
import { ofOld } from './older-resident.ts'
import { versionNamed } from './room-world.ts'

const newest = roomVersions.get('12') ?? assert.fail()
const end = { stream: Number.MAX_SAFE_INTEGER, sub: 0 }

for (const [id, expected] of [
  // What has no hash for an ID may name any parents.
  ['2', ['before', 'after']],
  ['3', ['before all', 'before', 'after']],
  ['12', ['before all', 'before', 'after']],
] as const) {
  test(`version ${id}: history is read past what is of a server that is gone with its keys`, async () => {
    const world = new FederationWorld()
    const [a, b, d] = await world.start('a', 'b', 'd')
    const [alice, bob, dora] = [a.user('alice'), b.user('bob'), d.user('dora')]
    const roomId = await a.createRoom(alice, versionNamed(id))
    await a.say(alice, roomId, 'before all')
    await d.join(dora, roomId, [a])
    await d.say(dora, roomId, 'of Dora')
    await world.settle()
    await a.say(alice, roomId, 'before')
    // This leans on her join.
    await a.setMembership(alice, roomId, dora, 'ban')
    await a.say(alice, roomId, 'after')
    await world.settle()
    d.stop()
    await b.join(bob, roomId, [a])
    const fill = async () => await world.await(b.rooms.fillHistory(roomId, end, 100))
    while ((await fill()) > 0);
    assert.deepEqual(await b.messages(roomId), expected)
    assert.ok(b.notes.includes(unfilledGap))
    // Until they are there again, and with them all that is missing.
    await d.restart()
    await world.settle(3_600_000)
    while ((await fill()) > 0);
    assert.deepEqual((await b.messages(roomId)).toSorted(), [
      'after',
      'before',
      'before all',
      'of Dora',
    ])
    assert.deepEqual(await b.engine.gaps(roomId, end, 1), [])
    assert.deepEqual([a.errors, b.errors], [[], []])
  })
}

test('more than a page of history is read past what cannot be proved', async () => {
  const world = new FederationWorld()
  const [a, b, d] = await world.start('a', 'b', 'd')
  const [alice, bob, dora] = [a.user('alice'), b.user('bob'), d.user('dora')]
  // What nobody can prove of a state may be a tenth of it.
  const events = Array.from({ length: 6 }, (_, index) => {
    return { type: 'org.example.state', state_key: `${index}`, content: {} }
  })
  const roomId = await a.createRoom(alice, newest, { events })
  await d.join(dora, roomId, [a])
  await world.settle()
  const said = Array.from({ length: 150 }, (_, index) => `message ${index}`)
  for (const body of said) await a.say(alice, roomId, body)
  await world.settle()
  await d.say(dora, roomId, 'of Dora')
  await world.settle()
  await a.say(alice, roomId, 'after')
  d.stop()
  await b.join(bob, roomId, [a])
  const fill = async () => await world.await(b.rooms.fillHistory(roomId, end, 100))
  // Her key may only be out of reach for a while, so it is not given up at once.
  for (let tries = 0; tries < 3; tries += 1) {
    assert.equal(await fill(), 0)
    await world.settle(240_000)
  }
  const brought: number[] = []
  for (let count = -1; count !== 0; brought.push(count)) count = await fill()
  assert.deepEqual(await b.messages(roomId), [...said, 'after'])
  assert.deepEqual(brought, [99, 62, 0])
})

for (const id of ['2', '12']) {
  test(`version ${id}: a room goes on behind what leans on somebody of a server that is gone`, async () => {
    const world = new FederationWorld()
    const [a, b, d] = await world.start('a', 'b', 'd')
    const [alice, bob, dora] = [a.user('alice'), b.user('bob'), d.user('dora')]
    const roomId = await a.createRoom(alice, versionNamed(id))
    await d.join(dora, roomId, [a])
    await world.settle()
    d.stop()
    await b.join(bob, roomId, [a])
    await world.settle()
    const ban = await a.setMembership(alice, roomId, dora, 'ban')
    await a.say(alice, roomId, 'after')
    await world.settle()
    assert.deepEqual(await b.messages(roomId), [], 'the key may be out of reach for a while only')
    await world.settle(3_600_000)
    assert.deepEqual(await b.messages(roomId), ['after'])
    await b.say(bob, roomId, 'heard')
    await world.settle()
    assert.deepEqual(await a.messages(roomId), ['after', 'heard'])
    await d.restart()
    await world.settle(7 * 3_600_000)
    assert.equal((await b.rooms.event(roomId, ban))?.status, 'accepted')
    assert.deepEqual([a.errors, b.errors], [[], []])
  })
}

test('a room goes on behind what is of a server whose key cannot be had', async () => {
  const world = new FederationWorld()
  const [a, b, d] = await world.start('a', 'b', 'd')
  const [alice, bob, dora] = [a.user('alice'), b.user('bob'), d.user('dora')]
  const roomId = await a.createRoom(alice, newest)
  await d.join(dora, roomId, [a])
  await world.settle()
  // Whoever asked before has it.
  d.intercept = noKeys
  await b.join(bob, roomId, [a])
  await a.say(alice, roomId, 'before')
  await world.settle()
  await d.say(dora, roomId, 'of Dora')
  await world.settle()
  await a.say(alice, roomId, 'after')
  await world.settle(3_600_000)
  assert.deepEqual(await b.messages(roomId), ['before', 'after'])
  assert.deepEqual([a.errors, b.errors], [[], []])
})

const noKeys = async (_: unknown, path: string) =>
  path.includes('/key/') ? new MatrixError(404, 'M_UNRECOGNIZED', 'No keys.') : undefined

/** Alice's room, in which Dora is, whose server gives its keys to nobody who has not got them. */
async function unprovenScene(version: string) {
  const world = new FederationWorld()
  const [a, b, c, d] = await world.start('a', 'b', 'c', 'd')
  const [alice, bob, carol, dora] = [a, b, c, d].map((server, index) =>
    server.user(['alice', 'bob', 'carol', 'dora'][index] ?? ''),
  ) as [UserId, UserId, UserId, UserId]
  // What nobody can prove of a state may be a tenth of it.
  const events = Array.from({ length: 20 }, (_, index) => {
    return { type: 'org.example.state', state_key: `${index}`, content: {} }
  })
  const roomId = await a.createRoom(alice, versionNamed(version), { events })
  await d.join(dora, roomId, [a])
  await world.settle()
  d.intercept = noKeys
  return { world, a, b, c, d, alice, bob, carol, dora, roomId }
}

for (const [id, way] of [
  ['1', 'in part'],
  ['1', 'whole'],
  ['2', 'in part'],
  ['6', 'whole'],
  ['12', 'in part'],
  ['12', 'whole'],
] as const) {
  test(`version ${id}: who could not be proved to be in a room joined ${way} is heard when they can`, async () => {
    const { world, a, b, d, bob, dora, roomId } = await unprovenScene(id)
    if (way === 'whole') a.intercept = ofOld
    await b.join(bob, roomId, [a])
    await world.settle(3_600_000)
    assert.equal(await b.membershipIn(roomId, dora), undefined)
    b.stop()
    await b.restart()
    d.intercept = undefined
    await d.say(dora, roomId, 'of Dora')
    await world.settle(60_000)
    assert.deepEqual(await b.messages(roomId), ['of Dora'])
    assert.equal(await b.membershipIn(roomId, dora), 'join')
    await b.say(bob, roomId, 'heard')
    await world.settle()
    assert.deepEqual(await d.messages(roomId), ['of Dora', 'heard'])
    assert.deepEqual(await b.stateOf(roomId), await a.stateOf(roomId))
    assert.deepEqual([a.errors, b.errors, d.errors], [[], [], []])
  })

  test(`version ${id}: whom they had let into a room joined ${way} is heard then, too`, async () => {
    const { world, a, b, c, d, alice, bob, carol, dora, roomId } = await unprovenScene(id)
    await c.join(carol, roomId, [a])
    await a.setMembership(alice, roomId, carol, 'leave')
    await a.send(roomId, {
      sender: alice,
      type: 'm.room.join_rules',
      state_key: '',
      content: { join_rule: 'invite' },
    })
    await world.settle()
    // Who asks now has the key.
    d.intercept = undefined
    await d.setMembership(dora, roomId, carol, 'invite')
    await world.settle()
    await c.join(carol, roomId, [a])
    await world.settle()
    d.intercept = noKeys
    await a.setMembership(alice, roomId, bob, 'invite')
    await world.settle()
    if (way === 'whole') a.intercept = ofOld
    await b.join(bob, roomId, [a])
    await world.settle(3_600_000)
    assert.equal(await b.membershipIn(roomId, carol), undefined)
    d.intercept = undefined
    await c.say(carol, roomId, 'of Carol')
    await world.settle(60_000)
    assert.deepEqual(await b.messages(roomId), ['of Carol'])
    assert.equal(await b.membershipIn(roomId, carol), 'join')
    assert.deepEqual([a.errors, b.errors, c.errors, d.errors], [[], [], [], []])
  })
}

test('what a state that was told later lacks may have taken the place of what could not be proved before', async () => {
  const { world, a, b, d, bob, dora, roomId } = await unprovenScene('11')
  await b.join(bob, roomId, [a])
  await world.settle(3_600_000)
  const join = (await a.rooms.currentState(roomId))?.eventId('m.room.member', dora)
  const other = [`$${'B'.repeat(43)}` as EventId, undefined] as const
  await world.await(b.engine.noteUnproved(roomId, new Map([other])))
  b.stop()
  await b.restart()
  d.intercept = undefined
  await d.say(dora, roomId, 'of Dora')
  await world.settle(60_000)
  assert.deepEqual(await b.messages(roomId), [])
  // One place has one event.
  const both = [[join ?? assert.fail(), undefined], other] as const
  await world.await(b.engine.noteUnproved(roomId, new Map(both)))
  await d.say(dora, roomId, 'once more')
  await world.settle(60_000)
  assert.deepEqual(await b.messages(roomId), ['once more'])
  assert.deepEqual([a.errors, b.errors], [[], []])
})

for (const isFollowed of [true, false]) {
  const what = isFollowed ? 'by what was passed over' : 'by what still waits'
  test(`who was banned ${what} is not in the room when it can be proved that they had been`, async () => {
    const { world, a, b, d, alice, bob, dora, roomId } = await unprovenScene('11')
    await b.join(bob, roomId, [a])
    await world.settle(3_600_000)
    world.cut(a, d)
    await a.setMembership(alice, roomId, dora, 'ban')
    await world.settle()
    if (isFollowed) await a.say(alice, roomId, 'after')
    await world.settle(3_600_000)
    d.intercept = undefined
    await d.say(dora, roomId, 'before she knew of it')
    await world.settle(24 * 3_600_000)
    // What came first of two branches is shown.
    assert.deepEqual(await b.messages(roomId), isFollowed ? ['after'] : ['before she knew of it'])
    assert.equal(await b.membershipIn(roomId, dora), isFollowed ? undefined : 'ban')
    await d.say(dora, roomId, 'once more')
    await world.settle(60_000)
    assert.equal((await b.messages(roomId)).includes('once more'), false)
    assert.deepEqual([a.errors, b.errors], [[], []])
  })
}
