/**
 * What lacks events sleeps, and is there as soon as they are.
 *
 * @module
 */

import '../../test/watched-waits.ts'
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import type { Pdu } from '#protocol/pdu.ts'
import { sql, UnitFailed } from '#storage/database.ts'
import { roomWithThem, versionOf } from '../../test/engine-world.ts'
import { hourMs, openWorld } from '../../test/staging-world.ts'
import { bob, carol, there } from '../../test/their-room.ts'

/** An event of theirs waits for its parent, which is asked for and given once it is there. */
async function openWithGap(failure?: () => UnitFailed | undefined) {
  const world = await openWorld(failure && { failure })
  const room = await roomWithThem(world, versionOf('12'))
  const pdu = await room.message(bob)
  const child = await room.message(bob, [pdu])
  const parent = { asked: 0, isThere: false }
  world.rooms.setGapFiller({
    fill: async () => {
      parent.asked += 1
      if (parent.isThere) await world.rooms.engine.receive(room.roomId, [pdu], { origin: there })
    },
  })
  await world.rooms.engine.takeIn(there, [child.bytes])
  return { world, child, parent }
}

test('an event whose history cannot be had for a week is there when it can', async () => {
  const { world, child, parent } = await openWithGap()
  await world.time.run(24 * 7 * hourMs)
  assert.equal(await world.statusOf(child), undefined)
  const [one, ...others] = await world.waiting()
  assert.equal(one?.eventId, child.event_id)
  assert.equal(one?.origin, there)
  assert.deepEqual(others, [])
  assert.ok(parent.asked < 50, `asked ${parent.asked} times`)
  assert.equal(one?.tries, parent.asked)
  parent.isThere = true
  await world.time.run(6 * hourMs)
  assert.equal(await world.statusOf(child), 'accepted')
  assert.deepEqual(await world.waiting(), [])
})

test('an event whose history cannot be had is tried again when who sent it answers again', async () => {
  const { world, child, parent } = await openWithGap()
  await world.time.run(24 * hourMs)
  const before = parent.asked
  parent.isThere = true
  world.rooms.serverReturned('elsewhere.test' as ServerName)
  await world.rooms.engine.settled()
  assert.equal(parent.asked, before)
  world.rooms.serverReturned(there)
  await world.rooms.engine.settled()
  assert.equal(parent.asked, before + 1)
  assert.equal(await world.statusOf(child), 'accepted')
})

test('an event that two servers sent and that lacks others waits for neither in the end', async () => {
  const { world, child, parent } = await openWithGap()
  await world.rooms.engine.takeIn('elsewhere.test' as ServerName, [child.bytes])
  await world.time.run(24 * hourMs)
  assert.equal((await world.waiting()).length, 2)
  parent.isThere = true
  await world.time.run(13 * hourMs)
  assert.equal(await world.statusOf(child), 'accepted')
  assert.deepEqual(await world.waiting(), [])
})

test('a server that comes and goes is not asked each time', async () => {
  const { world, parent } = await openWithGap()
  await world.time.run(24 * hourMs)
  const before = parent.asked
  for (let count = 0; count < 600; count += 1) {
    world.rooms.serverReturned(there)
    await world.time.run(1000)
  }
  const times = parent.asked - before
  assert.ok(times <= 11, `asked ${times} times in ten minutes`)
})

test('while our store fails, what waits is not asked for again and again', async () => {
  let isFull = false
  const full = new UnitFailed('full', 'the disk is full')
  const { world, child, parent } = await openWithGap(() => (isFull ? full : undefined))
  await world.rooms.engine.settled()
  parent.isThere = true
  isFull = true
  await world.time.run(hourMs)
  assert.ok(parent.asked < 20, `asked ${parent.asked} times in an hour`)
  assert.equal(await world.statusOf(child), undefined)
  isFull = false
  await world.time.run(hourMs)
  assert.equal(await world.statusOf(child), 'accepted')
})

test('an event that waits is there as soon as what it waits for comes by itself', async () => {
  const world = await openWorld()
  const room = await roomWithThem(world, versionOf('11'))
  const events = [await room.message(bob)]
  for (let count = 0; count < 30; count += 1) {
    events.push(await room.message(bob, events.slice(-1)))
  }
  const [first = assert.fail(), ...later] = events
  await world.rooms.engine.takeIn(
    there,
    later.map(({ bytes }) => bytes),
  )
  await world.time.run(100 * hourMs)
  assert.equal((await world.waiting()).length, 30)
  await room.receive(first)
  await world.rooms.engine.settled()
  assert.deepEqual(await world.waiting(), [])
  assert.deepEqual(await room.ends(), [later.at(-1)?.event_id])
})

test('many large events are tried again with what they wait for, and hold up no turn of their room', async () => {
  const world = await openWorld()
  const room = await roomWithThem(world, versionOf('12'))
  const pdu = await room.message(bob)
  const large = { msgtype: 'm.text', body: 'x'.repeat(50_000) }
  const children: Pdu[] = []
  for (let count = 0; count < 5; count += 1) {
    children.push(await room.make(bob, 'm.room.message', large, { after: [pdu] }))
  }
  const bytes = children.map((child) => child.bytes)
  await world.rooms.engine.takeIn(there, bytes)
  await world.rooms.engine.settled()
  assert.equal((await world.waiting()).length, children.length)
  // The turn by which it comes wakes them: `wait-order.ts` sees whom they wait for then.
  await room.receive(pdu)
  await world.rooms.engine.settled()
  for (const child of children) assert.equal(await world.statusOf(child), 'accepted')
})

test('an event is tried again when history comes that what it lacks may follow', async () => {
  const world = await openWorld()
  const room = await roomWithThem(world, versionOf('12'))
  const { engine } = world.rooms
  const root = await room.ours('m.room.message', { body: 'root' })
  const history = await room.message(bob, [root])
  const afterGap = await room.message(carol, [history])
  const lacking = await room.message(bob, [history])
  const child = await room.message(bob, [lacking])
  const state = await world.rooms.stateAfter(room.roomId, root.event_id)
  const ids = state?.ids().map(({ eventId }) => eventId) ?? []
  await room.receive(afterGap, new Map([[afterGap.event_id, ids]]))
  const before = (await world.rooms.event(room.roomId, afterGap.event_id))?.position
  assert.ok(before)
  world.rooms.setGapFiller({
    fill: async () => void (await engine.receive(room.roomId, [lacking], { origin: there })),
  })
  await engine.takeIn(there, [child.bytes])
  await world.time.run(24 * hourMs)
  assert.equal(await world.statusOf(child), undefined)
  const place = { before, origin: there, statesBefore: new Map() }
  await engine.acceptHistory(room.roomId, [history], place)
  await engine.settled()
  assert.equal(await world.statusOf(lacking), 'accepted')
  assert.equal(await world.statusOf(child), 'accepted')
})

test('what waits is tried again after a restart, but not what was set aside', async () => {
  const first = await openWorld()
  const room = await roomWithThem(first, versionOf('12'))
  const parent = await room.message(bob)
  const child = await room.message(bob, [parent])
  const lost = await room.message(carol, [parent])
  await first.rooms.engine.takeIn(there, [child.bytes, lost.bytes])
  await first.time.run(hourMs)
  await first.db.write((tx) =>
    tx.run(sql`UPDATE staged_pdus SET problem = ${'x'} WHERE event_id = ${lost.event_id}`),
  )
  first.db.crash()
  const second = await openWorld({ image: first.image })
  await second.rooms.engine.receive(room.roomId, [parent], { origin: there })
  await second.rooms.resume()
  await second.rooms.engine.settled()
  assert.equal(await second.statusOf(child), 'accepted')
  assert.deepEqual(
    (await second.waiting()).map(({ eventId }) => eventId),
    [lost.event_id],
  )
  assert.equal(await second.rooms.discardWaiting(room.roomId, lost.event_id), true)
  assert.equal(await second.rooms.discardWaiting(room.roomId, lost.event_id), false)
})
