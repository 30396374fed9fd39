/**
 * Whole rooms that another server gives us when we join.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { realClock } from '#io/real-clock.ts'
import type { UserId } from '#protocol/identifiers/ids.ts'
import { sql } from '#storage/database.ts'
import { memoryImage } from '#storage/sqlite.ts'
import { alice, hastyClock, largeRoom, openEngine, versionOf } from '../../test/engine-world.ts'
import { there } from '../../test/their-room.ts'

test('a large room is imported whole, and is the same after a restart', async () => {
  const world = await openEngine(memoryImage())
  const room = largeRoom(1000)
  assert.deepEqual(await world.rooms.engine.importRoom(room, there), { allowed: true })
  const again = await openEngine(world.image)
  for (const { rooms } of [world, again]) {
    const state = (await rooms.currentState(room.roomId)) ?? assert.fail()
    assert.equal(state.size, room.state.length + 1)
    assert.equal((await state.events()).length, room.state.length + 1)
    assert.equal((await rooms.joinedMembers(room.roomId)).length, 1002)
    assert.deepEqual(await rooms.engine.forwardExtremities(room.roomId), [room.event.event_id])
  }
  await again.rooms.send(room.roomId, { sender: alice, type: 'm.room.message', content: {} })
  assert.deepEqual(await world.db.all(sql`SELECT * FROM room_imports`), [])
})

// The events of 1000 members are three units, of which the last one makes the room.
for (const stored of [0, 1, 2]) {
  test(`an import that is cut short by a crash after ${stored} units leaves no trace`, async () => {
    let left = Number.POSITIVE_INFINITY
    const due: (() => void)[] = []
    const schedule = (act: () => void) => {
      left -= 1
      return left >= 0 ? queueMicrotask(act) : due.push(act)
    }
    const world = await openEngine(memoryImage(), { schedule })
    const room = largeRoom(1000)
    left = stored
    void world.rooms.engine.importRoom(room, there)
    while (due.length === 0) await realClock.yield()
    const rooms = await world.db.all(sql`SELECT room_id FROM rooms`)
    assert.deepEqual(rooms, [])
    const events = await world.db.all(sql`SELECT event_id FROM events`)
    assert.equal(events.length, stored * 400)
    world.db.crash()
    const again = await openEngine(world.image)
    for (const table of [sql`SELECT event_id FROM events`, sql`SELECT type FROM state_keys`]) {
      assert.deepEqual(await again.db.all(table), [])
    }
    assert.deepEqual(await again.rooms.engine.importRoom(room, there), { allowed: true })
  })
}

const amy: UserId = '@amy:here.test'

test('two of our users who join a room at the same time both get in', async () => {
  const { rooms } = await openEngine(memoryImage())
  const imports = [largeRoom(1000, alice), largeRoom(1000, amy)]
  const verdicts = await Promise.all(imports.map((room) => rooms.engine.importRoom(room, there)))
  assert.deepEqual(verdicts, [{ allowed: true }, { allowed: true }])
  const [{ roomId } = assert.fail()] = imports
  const members = await rooms.joinedMembers(roomId)
  assert.deepEqual([members.includes(alice), members.includes(amy)], [true, true])
  assert.equal(members.length, 1003)
  // Neither join names the other.
  const ends = imports.map(({ event }) => event.event_id)
  assert.deepEqual(await rooms.engine.forwardExtremities(roomId), ends)
})

test('a room that was refused to one user can be had for another at the same time', async () => {
  const world = await openEngine(memoryImage())
  const good = largeRoom(10, amy)
  const bad = largeRoom(10, alice)
  const closed = { ...bad, state: bad.state.filter(({ type }) => type !== 'm.room.join_rules') }
  const [refused, allowed] = await Promise.all(
    [closed, good].map((room) => world.rooms.engine.importRoom(room, there)),
  )
  assert.equal(refused?.allowed, false)
  assert.deepEqual(allowed, { allowed: true })
})

test('a large room is imported with a pause after every piece of it, and others are served', async () => {
  const clock = hastyClock()
  const { rooms, db } = await openEngine(memoryImage(), { clock })
  const roomId = await rooms.createRoom({
    creator: alice,
    version: versionOf('12'),
    createContent: {},
    joinContent: {},
    events: [],
  })
  const room = largeRoom(500)
  let isOver = false
  const importing = rooms.engine.importRoom(room, there).finally(() => {
    isOver = true
  })
  let said = 0
  for (; !isOver && said < 20; said += 1) {
    await rooms.send(roomId, { sender: alice, type: 'm.room.message', content: {} })
    await realClock.yield()
  }
  assert.equal(isOver, false)
  assert.deepEqual(await importing, { allowed: true })
  assert.ok(clock.pauses() > 2000, `${clock.pauses()} pauses`)
  assert.equal((await rooms.currentState(room.roomId))?.size, room.state.length + 1)
  assert.equal((await rooms.joinedMembers(room.roomId)).length, 502)
  const changes = await rooms.stateChanges(room.roomId, { from: 0, to: Number.MAX_SAFE_INTEGER })
  assert.equal(changes.length, room.state.length + 1)
  assert.deepEqual(await db.all(sql`SELECT * FROM room_imports`), [])
})

test('who comes back to a room that has grown large keeps nobody in it waiting', async () => {
  const { rooms, db } = await openEngine(memoryImage())
  const before = largeRoom(10)
  const { roomId } = before
  await rooms.engine.importRoom(before, there)
  await rooms.send(roomId, {
    sender: alice,
    type: 'm.room.member',
    state_key: alice,
    content: { membership: 'leave' },
  })
  const after = largeRoom(2000)
  const [late = assert.fail()] = after.state.slice(11)
  const storedEvents = async () => (await db.all(sql`SELECT event_id FROM events`)).length
  const storedBefore = await storedEvents()
  const coming = rooms.engine.importRoom(after, there)
  while ((await storedEvents()) === storedBefore) await realClock.yield()
  const [outcome] = await rooms.engine.receive(roomId, [late], {
    origin: there,
    statesBefore: new Map([[late.event_id, before.state.map(({ event_id }) => event_id)]]),
  })
  assert.equal(outcome?.outcome, 'accepted')
  const stored = await storedEvents()
  assert.ok(stored < 1800, `${stored} events were stored in one turn`)
  assert.deepEqual(await coming, { allowed: true })
  assert.equal((await rooms.joinedMembers(roomId)).length, 2002)
  assert.deepEqual(await rooms.engine.forwardExtremities(roomId), [after.event.event_id])
})
