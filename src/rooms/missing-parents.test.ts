/**
 * Events whose parents are unknown, or come later: what is missing where, and the ends of the room when
 * it comes.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Pdu } from '#protocol/pdu.ts'
import { memoryImage } from '#storage/sqlite.ts'
import { end, openEngine, roomWithThem, versionOf } from '../../test/engine-world.ts'
import { bob, carol, there } from '../../test/their-room.ts'

test('what refers to unknown events is missing them, and leaves no trace', async () => {
  const room = await roomWithThem(await openEngine(memoryImage()), versionOf('11'))
  const parent = await room.message(bob)
  const member = await room.make(
    bob,
    'm.room.member',
    { membership: 'join', displayname: 'B' },
    {
      stateKey: bob,
    },
  )
  const child = await room.message(bob, [parent])
  const { auth_events } = child
  const auth = (await room.world.rooms.events(room.roomId, auth_events)).map(({ pdu }) => pdu)
  const newer = auth.map((pdu) => (pdu.state_key === bob ? member : pdu))
  const leaning = await room.make(bob, 'm.room.message', {}, { auth: newer })
  const eventId = child.event_id
  assert.deepEqual(await room.receive(child), {
    eventId,
    outcome: 'missing',
    prevEvents: [parent.event_id],
    authEvents: [],
  })
  assert.deepEqual(await room.receive(leaning), {
    eventId: leaning.event_id,
    outcome: 'missing',
    prevEvents: [],
    authEvents: [member.event_id],
  })
  assert.equal(await room.world.rooms.event(room.roomId, eventId), undefined)
  const both = await room.world.rooms.engine.receive(room.roomId, [child, parent], {
    origin: there,
  })
  assert.deepEqual(both.map(({ outcome }) => outcome).sort(), ['accepted', 'accepted'])
})

test('a parent that was missing stands at its place in the graph when it comes', async () => {
  const room = await roomWithThem(await openEngine(memoryImage()), versionOf('11'))
  const root = await room.ours('m.room.message', { body: 'root' })
  const parent = await room.message(bob, [root])
  const child = await room.message(carol, [parent])
  const state = await room.world.rooms.stateAfter(room.roomId, root.event_id)
  const ids = state?.ids().map(({ eventId }) => eventId) ?? []
  assert.equal((await room.receive(child, new Map([[child.event_id, ids]]))).outcome, 'accepted')
  assert.equal((await room.world.rooms.event(room.roomId, child.event_id))?.gapBefore, true)
  assert.deepEqual(await room.ends(), [root.event_id, child.event_id])
  const [gap] = await room.world.rooms.engine.gaps(room.roomId, end, 5)
  assert.deepEqual(gap?.missing, [parent.event_id])

  assert.equal((await room.receive(parent)).outcome, 'accepted')
  assert.deepEqual(await room.ends(), [child.event_id])
  assert.equal((await room.world.rooms.event(room.roomId, child.event_id))?.gapBefore, false)
  assert.deepEqual(await room.world.rooms.engine.gaps(room.roomId, end, 5), [])
})

test('what is missing before a refused event is missing before the event after it', async () => {
  for (const order of ['refused first', 'refused last']) {
    const room = await roomWithThem(await openEngine(memoryImage()), versionOf('11'))
    const root = await room.ours('m.room.message', { body: 'root' })
    const unknown = await room.message(carol, [root])
    const refused = await room.message(bob, [unknown])
    const child = await room.message(carol, [refused])
    const state = await room.world.rooms.stateAfter(room.roomId, root.event_id)
    const ids = state?.ids().map(({ eventId }) => eventId) ?? []
    await room.ours('m.room.member', { membership: 'ban' }, bob)
    const missing = async () => {
      const again = await openEngine(room.world.image)
      const [gap, ...others] = await again.rooms.engine.gaps(room.roomId, end, 5)
      assert.deepEqual(others, [])
      return gap && [gap.eventId, ...gap.missing]
    }
    const told = (pdu: Pdu) => new Map([[pdu.event_id, ids]])
    if (order === 'refused last') {
      assert.equal((await room.receive(child, told(child))).outcome, 'accepted')
      assert.deepEqual(await missing(), [child.event_id, refused.event_id])
      assert.equal((await room.receive(refused, told(refused))).outcome, 'soft_failed')
    } else {
      assert.equal((await room.receive(refused, told(refused))).outcome, 'soft_failed')
      assert.equal((await room.receive(child)).outcome, 'accepted')
    }
    assert.deepEqual(await missing(), [child.event_id, unknown.event_id], order)
    assert.equal((await room.receive(unknown)).outcome, 'accepted')
    assert.equal(await missing(), undefined)
    assert.ok(!(await room.ends()).includes(unknown.event_id), 'what follows it is known')
  }
})

test('history is not put behind a gap that was filled meanwhile', async () => {
  const room = await roomWithThem(await openEngine(memoryImage()), versionOf('11'))
  const { engine } = room.world.rooms
  const root = await room.ours('m.room.message', { body: 'root' })
  const parent = await room.message(bob, [root])
  const child = await room.message(carol, [parent])
  const late = await room.message(bob, [root])
  const state = await room.world.rooms.stateAfter(room.roomId, root.event_id)
  const ids = state?.ids().map(({ eventId }) => eventId) ?? []
  await room.receive(child, new Map([[child.event_id, ids]]))
  const before = (await room.world.rooms.event(room.roomId, child.event_id))?.position
  assert.ok(before)
  const place = { before, origin: there, statesBefore: new Map() }
  const [filled] = await engine.acceptHistory(room.roomId, [parent], place)
  assert.equal(filled?.outcome, 'accepted')
  assert.deepEqual(await engine.acceptHistory(room.roomId, [late], place), [])
  assert.equal(await room.world.rooms.event(room.roomId, late.event_id), undefined)
})

test('a parent whose only child was soft-failed becomes an extremity', async () => {
  const room = await roomWithThem(await openEngine(memoryImage()), versionOf('11'))
  const root = await room.ours('m.room.message', { body: 'root' })
  const parent = await room.message(carol, [root])
  const child = await room.message(bob, [parent])
  const state = await room.world.rooms.stateAfter(room.roomId, root.event_id)
  const ids = state?.ids().map(({ eventId }) => eventId) ?? []
  const ban = await room.ours('m.room.member', { membership: 'ban' }, bob)
  const outcome = await room.receive(child, new Map([[child.event_id, ids]]))
  assert.equal(outcome.outcome, 'soft_failed')
  assert.equal((await room.receive(parent)).outcome, 'accepted')
  assert.deepEqual(await room.ends(), [ban.event_id, parent.event_id])
})

test('what is missing before history only is an end of the room when it comes', async () => {
  const room = await roomWithThem(await openEngine(memoryImage()), versionOf('11'))
  const { engine, ...rooms } = room.world.rooms
  const root = await room.ours('m.room.message', { body: 'root' })
  const state = await rooms.stateAfter(room.roomId, root.event_id)
  const ids = state?.ids().map(({ eventId }) => eventId) ?? []
  const beyond = await room.message(carol, [await room.message(bob, [root])])
  await room.receive(beyond, new Map([[beyond.event_id, ids]]))
  const last = await room.ours('m.room.message', { body: 'last' })
  assert.deepEqual(await room.ends(), [last.event_id])
  // Taken for history, though it follows what is newer.
  const parent = await room.message(bob, [last])
  const history = await room.message(carol, [parent])
  const before = (await rooms.event(room.roomId, beyond.event_id))?.position ?? assert.fail()
  const statesBefore = new Map([[history.event_id, ids]])
  const place = { before, origin: there, statesBefore }
  const [taken] = await engine.acceptHistory(room.roomId, [history], place)
  assert.equal(taken?.outcome, 'accepted')
  assert.equal((await room.receive(parent)).outcome, 'accepted')
  assert.deepEqual(await room.ends(), [parent.event_id])
})
