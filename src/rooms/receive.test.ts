/**
 * What becomes of events of another server: an event factory plays that server, with a key of its
 * own, and feeds the engine.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Clock } from '#io/clock.ts'
import { realClock } from '#io/real-clock.ts'
import { VirtualTime } from '#io/simulated/simulated-clock.ts'
import { selectAuthEvents } from '#protocol/auth-rules/auth-events.ts'
import { authStateOf } from '#protocol/auth-rules/auth-state.ts'
import { buildPdu } from '#protocol/build-pdu.ts'
import type { UserId } from '#protocol/identifiers/ids.ts'
import type { Pdu } from '#protocol/pdu.ts'
import type { RoomVersion } from '#protocol/room-version.ts'
import { sql } from '#storage/database.ts'
import { memoryImage, openSqlite } from '#storage/sqlite.ts'
import {
  alice,
  type EngineWorld,
  end,
  hastyClock,
  openEngine,
  ours,
  roomWithThem,
  versionOf,
} from '../../test/engine-world.ts'
import { bob, carol, type TheirRoom, there } from '../../test/their-room.ts'
import type { GapFiller } from './engine.ts'
import { pagesOf } from './resident/pdu-bytes.ts'

// The example of the spec's section on soft failure. "In the original version of the algorithm `C`
// would be in the resolved state, whereas in latter versions the algorithm tries to prioritise the
// ban over the topic change."
for (const [id, isInState] of [
  ['1', true],
  ['2', false],
  ['11', false],
  ['12', false],
] as const) {
  test(`version ${id}: a banned user's topic is soft-failed, until an event refers to it`, async () => {
    const room = await roomWithThem(await openEngine(memoryImage()), versionOf(id))
    const a = await room.ours('m.room.message', { body: 'A' })
    const c = await room.make(bob, 'm.room.topic', { topic: 'C' }, { stateKey: '', after: [a] })
    const b = await room.ours('m.room.member', { membership: 'ban' }, bob)
    assert.equal((await room.receive(c)).outcome, 'soft_failed')
    assert.deepEqual(await room.ends(), [b.event_id])
    assert.ok(!(await room.timeline()).includes(c.event_id))
    assert.equal(await room.current('m.room.topic'), undefined)

    const d = await room.message(carol, [b, c])
    assert.equal((await room.receive(d)).outcome, 'accepted')
    assert.deepEqual(await room.ends(), [d.event_id])
    assert.ok(!(await room.timeline()).includes(c.event_id), 'C is never in the timeline')
    assert.equal(await room.current('m.room.topic'), isInState ? c.event_id : undefined)
    const told = room.world.commits.at(-1)?.stateChanges.map(({ after }) => after)
    assert.deepEqual(told, isInState ? [c.event_id] : [], 'clients are told of the state')
  })
}

test('who refers to a soft-failed event takes the place of its parents, too', async () => {
  const room = await roomWithThem(await openEngine(memoryImage()), versionOf('11'))
  const a = await room.ours('m.room.message', { body: 'A' })
  const c = await room.make(bob, 'm.room.topic', { topic: 'C' }, { stateKey: '', after: [a] })
  const banned = await room.ours('m.room.member', { membership: 'ban' }, bob)
  await room.receive(c)
  const c2 = await room.make(bob, 'm.room.message', {}, { after: [c] })
  assert.equal((await room.receive(c2)).outcome, 'soft_failed')
  const late = await room.make(
    bob,
    'm.room.message',
    {},
    { after: [banned], auth: await authOf(room, a, bob) },
  )
  assert.equal((await room.receive(late)).outcome, 'rejected')
  const d = await room.message(carol, [late])
  assert.equal((await room.receive(d)).outcome, 'accepted')
  assert.deepEqual(
    await room.ends(),
    [d.event_id],
    'the ban is an ancestor through the rejected event',
  )
})

/** The auth events of a message of `sender` after `event`. */
async function authOf(room: TheirRoom<EngineWorld>, event: Pdu, sender: UserId): Promise<Pdu[]> {
  const state = await room.world.rooms.stateAfter(room.roomId, event.event_id)
  const events = (await state?.events()) ?? []
  const subject = { version: room.version, type: 'm.room.message', sender, content: {} }
  return selectAuthEvents(subject, authStateOf(events))
}

for (const id of ['1', '6', '12']) {
  test(`version ${id}: a rejected event changes nothing, and events after it are judged as ever`, async () => {
    const room = await roomWithThem(await openEngine(memoryImage()), versionOf(id))
    const rejected = await room.make(carol, 'm.room.topic', { topic: 'no' }, { stateKey: '' })
    const before = await room.ends()
    const outcome = await room.receive(rejected)
    assert.equal(outcome.outcome, 'rejected')
    assert.match('rule' in outcome ? outcome.rule : '', /power level/)
    assert.deepEqual(await room.ends(), before)
    const child = await room.message(carol, [rejected])
    assert.equal((await room.receive(child)).outcome, 'accepted')
    assert.deepEqual(await room.ends(), [child.event_id])
    assert.equal(await room.current('m.room.topic'), undefined)

    const state = (await room.world.rooms.currentState(room.roomId)) ?? assert.fail()
    const based = [...(await state.events()), rejected].filter(
      ({ type }) => type !== 'm.room.join_rules',
    )
    const leaning = await room.make(bob, 'm.room.name', {}, { stateKey: '', auth: based })
    assert.equal((await room.receive(leaning)).outcome, 'rejected')
    assert.equal((await room.receive(rejected)).outcome, 'known', 'it stays rejected')
    assert.equal((await room.world.rooms.event(room.roomId, rejected.event_id))?.status, 'rejected')
  })
}

test('who was banned before is rejected, whatever auth events they choose', async () => {
  const room = await roomWithThem(await openEngine(memoryImage()), versionOf('11'))
  const state = await room.world.rooms.currentState(room.roomId)
  const auth = await state?.events((type, stateKey) =>
    type === 'm.room.member' ? stateKey === bob : /create|power_levels/.test(type),
  )
  const ban = await room.ours('m.room.member', { membership: 'ban' }, bob)
  const evading = await room.make(
    bob,
    'm.room.message',
    { body: 'x' },
    { after: [ban], auth: auth ?? assert.fail() },
  )
  assert.deepEqual(await room.receive(evading), {
    eventId: evading.event_id,
    outcome: 'rejected',
    rule: 'the sender is not in the room',
  })
})

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

test('a room has one create event', async () => {
  const room = await roomWithThem(await openEngine(memoryImage()), versionOf('11'))
  const built = buildPdu(
    room.version,
    {
      room_id: room.roomId,
      type: 'm.room.create',
      state_key: '',
      sender: alice,
      depth: 1,
      origin_server_ts: 1,
      prev_events: [],
      auth_events: [],
      content: { room_version: '11' },
    },
    ours,
  )
  assert.ok(built.ok)
  const outcome = await room.receive(built.pdu)
  assert.equal(
    'rule' in outcome ? outcome.rule : outcome.outcome,
    'the room has another create event',
  )
})

for (const id of ['1', '3', '12']) {
  test(`version ${id}: a redaction that comes before its target waits for it`, async () => {
    const room = await roomWithThem(await openEngine(memoryImage()), versionOf(id))
    const root = await room.ours('m.room.message', { body: 'root' })
    const target = await room.make(bob, 'm.room.message', { body: 'a secret' }, { after: [root] })
    const redacts = target.event_id
    const redaction = await room.make(bob, 'm.room.redaction', {}, { after: [root], redacts })
    assert.equal((await room.receive(redaction)).outcome, 'accepted')
    const isShown = (await room.timeline()).includes(redaction.event_id)
    assert.equal(isShown, room.version.redactionAuthRule, 'clients wait for both of them')

    const again = await openEngine(room.world.image)
    await again.rooms.engine.receive(room.roomId, [target], { origin: there })
    const stored = (await again.rooms.event(room.roomId, redacts)) ?? assert.fail()
    assert.deepEqual(stored.pdu.content, {})
    assert.equal(stored.redactedBy, redaction.event_id)
    const shown = again.commits.flatMap(({ timeline }) => timeline)
    assert.ok(shown.every(({ pdu }) => pdu.content.body === undefined))
    assert.equal((await room.timeline()).includes(redaction.event_id), true)
    const rows = await again.db.all<{ bytes: Uint8Array }>(sql`SELECT bytes FROM events`)
    assert.ok(rows.every(({ bytes }) => !Buffer.from(bytes).includes('a secret')))
  })
}

test('a redaction by who may not redact changes nothing', async () => {
  const room = await roomWithThem(await openEngine(memoryImage()), versionOf('11'))
  const secret = await room.ours('m.room.message', { body: 'ours' })
  const redacts = secret.event_id
  await room.receive(await room.make(carol, 'm.room.redaction', {}, { redacts }))
  const stored = await room.world.rooms.event(room.roomId, redacts)
  assert.deepEqual(stored?.pdu.content, { body: 'ours' })
  await room.receive(await room.make(bob, 'm.room.redaction', {}, { redacts }))
  assert.deepEqual((await room.world.rooms.event(room.roomId, redacts))?.pdu.content, {})
})

for (const id of ['1', '10']) {
  test(`version ${id}: the create event keeps its content, whoever redacts it`, async () => {
    const room = await roomWithThem(await openEngine(memoryImage()), versionOf(id))
    const { rooms } = room.world
    const create = await (await rooms.currentState(room.roomId))?.event('m.room.create', '')
    const redacts = create?.event_id ?? assert.fail()
    const redaction = await room.make(bob, 'm.room.redaction', {}, { redacts })
    assert.equal((await room.receive(redaction)).outcome, 'accepted')
    const stored = await rooms.event(room.roomId, redacts)
    assert.equal(stored?.redactedBy, undefined)
    assert.equal(stored?.pdu.content.room_version, id)
  })
}

test('what was staged is worked off after a crash', async () => {
  const due: (() => void)[] = []
  const first = await openEngine(memoryImage())
  const room = await roomWithThem(first, versionOf('12'))
  const pdu = await room.message(bob)
  first.db.crash()
  // The second process stages the event and dies before it commits anything else.
  let isHeld = false
  const schedule = (act: () => void) => (isHeld ? due.push(act) : queueMicrotask(act))
  const second = await openEngine(first.image, { schedule })
  const taking = second.rooms.engine.takeIn(there, [pdu.bytes])
  assert.deepEqual([...(await taking.finally(() => (isHeld = true)))], [[pdu.event_id, undefined]])
  second.db.crash()
  const third = await openEngine(first.image)
  assert.equal(await third.rooms.event(room.roomId, pdu.event_id), undefined)
  await third.rooms.resume()
  await third.rooms.engine.settled()
  assert.equal((await third.rooms.event(room.roomId, pdu.event_id))?.status, 'accepted')
  assert.deepEqual(await third.db.all(sql`SELECT * FROM staged_pdus`), [])
})

test('events that cannot be had do not keep others waiting', async () => {
  const world = await openEngine(memoryImage())
  const room = await roomWithThem(world, versionOf('11'))
  const asked = Promise.withResolvers<void>()
  const answer = Promise.withResolvers<void>()
  const filler: GapFiller = {
    fill: async () => {
      asked.resolve()
      await answer.promise
    },
  }
  world.rooms.setGapFiller(filler)
  const unknown = await room.message(bob)
  const lost = await room.message(bob, [unknown])
  const good = await room.message(carol)
  await world.rooms.engine.takeIn(there, [lost.bytes])
  await asked.promise
  const shown = new Promise<void>((resolve) => world.rooms.onCommit(() => resolve()))
  await world.rooms.engine.takeIn(there, [good.bytes])
  await shown
  assert.equal((await world.rooms.event(room.roomId, good.event_id))?.status, 'accepted')
  await room.receive(unknown)
  answer.resolve()
  await world.rooms.engine.settled()
  assert.equal((await world.rooms.event(room.roomId, lost.event_id))?.status, 'accepted')
})

for (const [what, from, to, hasChecksum] of [
  ['the sender', 'alice', 'alicf', true],
  // The ID covers the hash of the content only.
  ['the content', 'as it was', 'as it is.', true],
  ['the sender of an event without checksum', 'alice', 'alicf', false],
] as const) {
  test(`bytes in which a disk has changed ${what} are found when they are read`, async () => {
    const { rooms, image } = await openEngine(memoryImage())
    const room = await roomWithThem(
      { rooms, image, db: await openSqlite({ image }), commits: [] },
      versionOf('11'),
    )
    const { event_id: eventId, bytes } = await room.ours('m.room.message', { body: 'as it was' })
    const again = await openEngine(image)
    if (!hasChecksum) {
      await again.db.write((tx) => tx.run(sql`UPDATE events SET checksum = NULL`))
    }
    assert.deepEqual(await again.rooms.eventBytes(room.roomId, [eventId]), [bytes])
    const changed = new Uint8Array(Buffer.from(Buffer.from(bytes).toString().replace(from, to)))
    await again.db.write((tx) =>
      tx.run(sql`UPDATE events SET bytes = ${changed} WHERE event_id = ${eventId}`),
    )
    const found = {
      name: 'EventCorrupted',
      message: new RegExp(`The bytes stored for \\${eventId}`),
    }
    await assert.rejects(again.rooms.event(room.roomId, eventId), found)
    await assert.rejects(again.rooms.eventBytes(room.roomId, [eventId]), found)
  })
}

test('bytes are read in the order in which they are asked for, without those not there', async () => {
  const { rooms, image } = await openEngine(memoryImage())
  const room = await roomWithThem(
    { rooms, image, db: await openSqlite({ image }), commits: [] },
    versionOf('12'),
  )
  const one = await room.ours('m.room.message', { body: 'one' })
  const two = await room.ours('m.room.message', { body: 'two' })
  const again = await openEngine(image)
  await again.rooms.event(room.roomId, one.event_id)
  const ids = [two.event_id, '$none' as const, one.event_id]
  assert.deepEqual(await again.rooms.eventBytes(room.roomId, ids), [two.bytes, one.bytes])
  // What others are given is whole, or breaks.
  const parts = { rooms: again.rooms, clock: realClock }
  const whole = pagesOf(parts, room.roomId, [two.event_id, one.event_id])
  assert.deepEqual(await Array.fromAsync(whole), [[two.bytes, one.bytes]])
  await assert.rejects(Array.fromAsync(pagesOf(parts, room.roomId, ids)), /went while/)
})

test('a room that others tear into many ends is merged by us', async () => {
  const world = await openEngine(memoryImage())
  const room = await roomWithThem(world, versionOf('12'))
  const root = await room.ours('m.room.message', { body: 'root' })
  const forks: Pdu[] = []
  for (let index = 0; index < 70; index += 1) forks.push(await room.message(bob, [root]))
  const merged = new Promise<void>((resolve) => {
    world.rooms.onCommit(() => {
      void room.ends().then(({ length }) => length <= 20 && resolve())
    })
  })
  const outcomes = await world.rooms.engine.receive(room.roomId, forks, { origin: there })
  assert.ok(outcomes.every(({ outcome }) => outcome === 'accepted'))
  await merged
})

/** Who has the last word under each of many keys, of which two branches of a room say something. */
async function winnersOfFork(version: RoomVersion, clock: Clock): Promise<(string | undefined)[]> {
  const world = await openEngine(memoryImage(), { clock })
  const room = await roomWithThem(world, version)
  const users = version.privilegedCreators ? { [bob]: 50 } : { [alice]: 100, [bob]: 50 }
  const levels = { users, state_default: 0 }
  const root = await room.ours('m.room.power_levels', levels, '')
  const keys = Array.from({ length: 30 }, (_, index) => `${index}`)
  const branches: Pdu[] = []
  for (const sender of [carol, bob]) {
    const auth = await authOf(room, root, sender)
    let last = root
    for (const stateKey of keys) {
      last = await room.make(sender, 'm.test', {}, { stateKey, after: [last], auth })
      branches.push(last)
    }
  }
  await world.rooms.engine.receive(room.roomId, branches, { origin: there })
  assert.equal((await room.ends()).length, 2)
  const state = await world.rooms.currentState(room.roomId)
  return await Promise.all(keys.map(async (key) => (await state?.event('m.test', key))?.sender))
}

for (const id of ['1', '12']) {
  test(`version ${id}: states are resolved alike, however often the thread does something else`, async () => {
    const clock = hastyClock()
    const winners = await winnersOfFork(versionOf(id), realClock)
    assert.ok(winners.every((winner) => winner === bob || winner === carol))
    assert.deepEqual(await winnersOfFork(versionOf(id), clock), winners)
    assert.ok(clock.pauses() > 200, `${clock.pauses()} pauses`)
  })
}

test('a thousand forks of an adversary leave sixty ends at most, and we can speak', async () => {
  const time = new VirtualTime()
  const world = await openEngine(memoryImage(), { clock: time.clock() })
  const room = await roomWithThem(world, versionOf('12'))
  const root = await room.ours('m.room.message', { body: 'root' })
  const forks: Pdu[] = []
  for (let index = 0; index < 1000; index += 1) {
    const changesState = index % 10 === 0
    const place = { after: [root], ...(changesState && { stateKey: `${index}` }) }
    forks.push(await room.make(bob, 'm.test', { index }, place))
  }
  const lengths: number[] = []
  world.rooms.onCommit(() => void room.ends().then(({ length }) => lengths.push(length)))
  const taking = (async () => {
    for (let at = 0; at < forks.length; at += 50) {
      const bytes = forks.slice(at, at + 50).map((fork) => fork.bytes)
      await world.rooms.engine.takeIn(there, bytes)
    }
    await world.rooms.engine.settled()
  })()
  await time.await(taking, 60_000)
  await time.run(5000)
  const ends = await room.ends()
  assert.ok(ends.length >= 1 && ends.length <= 60, `${ends.length} ends`)
  assert.ok(lengths.every((length) => length >= 1))
  const start = time.elapsedMs
  const said = await room.ours('m.room.message', { body: 'x' })
  assert.ok(time.elapsedMs - start < 1000)
  assert.ok((await room.ends()).includes(said.event_id))
  const state = await world.rooms.currentState(room.roomId)
  const keys = state?.ids().filter(({ type }) => type === 'm.test') ?? []
  assert.equal(keys.length, 100)
})

test('where most of our users may not speak, one who may merges the ends', async () => {
  const time = new VirtualTime()
  const world = await openEngine(memoryImage(), { clock: time.clock() })
  const room = await roomWithThem(world, versionOf('12'))
  // Twelve of ours come, by whose names one would not find who may speak.
  for (let index = 0; index < 12; index += 1) {
    const sender = `@a${index}:here.test` as UserId
    const content = { membership: 'join' }
    await world.rooms.send(room.roomId, {
      sender,
      type: 'm.room.member',
      state_key: sender,
      content,
    })
  }
  const speaker = '@a7:here.test'
  const levels = { users: { [bob]: 50, [speaker]: 50 }, events_default: 50 }
  const root = await room.ours('m.room.power_levels', levels, '')
  // Our creator, who may do anything, leaves.
  const leave = { membership: 'leave' }
  await world.rooms.send(room.roomId, {
    sender: alice,
    type: 'm.room.member',
    state_key: alice,
    content: leave,
  })
  const forks: Pdu[] = []
  for (let index = 0; index < 70; index += 1) forks.push(await room.message(bob, [root]))
  await time.await(world.rooms.engine.receive(room.roomId, forks, { origin: there }))
  await time.run(5000)
  assert.ok((await room.ends()).length <= 20)
})
