/**
 * Events explained: those of the spec's own examples, and what a hostile server would send.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { realClock } from '#io/real-clock.ts'
import { VirtualTime } from '#io/simulated/simulated-clock.ts'
import { encodeBase64 } from '#protocol/base64.ts'
import type { EventId } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'
import { parsePdu } from '#protocol/parse-pdu.ts'
import type { Pdu } from '#protocol/pdu.ts'
import { sql } from '#storage/database.ts'
import { saveServerKey } from '#storage/server-keys.ts'
import { memoryImage } from '#storage/sqlite.ts'
import {
  type EngineWorld,
  openEngine,
  ours,
  roomWithThem,
  versionOf,
} from '../../test/engine-world.ts'
import { bob, carol, theirs, there } from '../../test/their-room.ts'
import { type EventExplanation, explainEvent } from './explain-event.ts'
import type { Conflict } from './explain-resolution.ts'
import { loadRoom } from './load-room.ts'

const untilTs = 1_900_000_000_000

async function openRoom(id: string) {
  const world = await openEngine(memoryImage())
  const room = await roomWithThem(world, versionOf(id))
  await knowTheirKey(world)
  const explained = async (eventId: EventId): Promise<EventExplanation> => {
    const live = (await world.rooms.explain(eventId)) ?? assert.fail()
    // From the store alone, as the command line does it, it is the same.
    const loaded =
      (await loadRoom({ db: world.db, clock: realClock }, room.roomId)) ?? assert.fail()
    assert.deepEqual(await explainEvent({ db: world.db, own: ours }, loaded, eventId), live)
    return live
  }
  return { world, room, explained }
}

/** Keeps the other server's key, as the keyring does. */
async function knowTheirKey({ db }: EngineWorld, changes: { valid_until_ts?: number } = {}) {
  await db.write((tx) =>
    saveServerKey(tx, there, {
      key_id: theirs.keyId,
      key_base64: encodeBase64(theirs.publicKey),
      valid_until_ts: untilTs,
      expired: 0,
      fetched_ts: 1,
      fetched_from: there,
      response_json: '{}',
      ...changes,
    }),
  )
}

test('an accepted event: who signed it, what allowed it, what it refers to', async () => {
  const { room, explained } = await openRoom('11')
  const message = await room.message(carol)
  await room.receive(message)
  const found = await explained(message.event_id)
  assert.deepEqual([found.status, found.rule, found.hasContentHash], ['accepted', undefined, true])
  const key = {
    key: encodeBase64(theirs.publicKey),
    validUntilTs: untilTs,
    expired: false,
    fetchedFrom: there,
  }
  assert.deepEqual(found.signatures, [
    { server: there, keyId: theirs.keyId, isRequired: true, outcome: 'good', key },
  ])
  assert.deepEqual(
    found.checks.map(({ against, verdict }) => [against, verdict.allowed]),
    [
      ['auth_events', true],
      ['state_before', true],
    ],
  )
  const [, check] = found.checks
  assert.deepEqual(
    check?.inputs.map(({ type, stateKey, eventId }) => [type, stateKey, eventId !== undefined]),
    [
      ['m.room.create', '', true],
      ['m.room.power_levels', '', true],
      ['m.room.member', carol, true],
    ],
  )
  assert.deepEqual(check?.weighed, { senderMembership: 'join', senderLevel: 0, requiredLevel: 0 })
  assert.deepEqual(
    found.authEvents.map(({ status, type }) => [status, type]),
    message.auth_events.map((_, at) => ['accepted', check?.inputs[at]?.type]),
  )
  assert.equal(found.stateBefore.basis, 'parents')
})

test('a rejected event: the rule, and what it weighed', async () => {
  const { room, explained } = await openRoom('12')
  const topic = await room.make(carol, 'm.room.topic', { topic: 'mine' }, { stateKey: '' })
  assert.equal((await room.receive(topic)).outcome, 'rejected')
  const found = await explained(topic.event_id)
  const rule = "the sender's power level is too low for the event type"
  assert.deepEqual([found.status, found.rule], ['rejected', rule])
  const [check, ...more] = found.checks
  assert.deepEqual(more, [], 'nothing is checked after the check that refused it')
  assert.deepEqual(check?.verdict, { allowed: false, rule })
  assert.deepEqual(check?.weighed, { senderMembership: 'join', senderLevel: 0, requiredLevel: 50 })
})

test('a member event: what is weighed of its target', async () => {
  const { room, explained } = await openRoom('12')
  const place = { stateKey: bob }
  const ban = await room.make(carol, 'm.room.member', { membership: 'ban' }, place)
  await room.receive(ban)
  const [check] = (await explained(ban.event_id)).checks
  assert.deepEqual(check?.weighed?.member, {
    targetMembership: 'join',
    targetLevel: 50,
    joinRule: undefined,
    inviteLevel: 0,
    kickLevel: 50,
    banLevel: 50,
  })
})

// The example of the spec's section on soft failure.
for (const [id, algorithm] of [
  ['1', 'v1'],
  ['2', 'v2'],
  ['11', 'v2'],
  ['12', 'v2.1'],
] as const) {
  test(`version ${id}: a banned user's topic, and how the state was resolved after it`, async () => {
    const { room, explained } = await openRoom(id)
    const a = await room.ours('m.room.message', { body: 'A' })
    const c = await room.make(bob, 'm.room.topic', { topic: 'C' }, { stateKey: '', after: [a] })
    const b = await room.ours('m.room.member', { membership: 'ban' }, bob)
    await room.receive(c)
    await room.ours('m.room.member', { membership: 'leave' }, bob)

    // It is judged by the state of its time, whatever came after.
    const soft = await explained(c.event_id)
    assert.deepEqual([soft.status, soft.position], ['soft_failed', undefined])
    const last = soft.checks.at(-1)
    assert.deepEqual(
      [soft.checks.length, last?.against, last?.verdict],
      [3, 'current_state', { allowed: false, rule: soft.rule }],
    )
    const member = last?.inputs.find(({ type }) => type === 'm.room.member')
    assert.equal(member?.eventId, b.event_id)
    assert.equal(last?.weighed?.senderMembership, 'ban')

    const d = await room.message(carol, [b, c])
    await room.receive(d)
    const { stateBefore } = await explained(d.event_id)
    assert(stateBefore.basis === 'resolved')
    assert.deepEqual(stateBefore.parents, [b.event_id, c.event_id])
    const { resolution } = stateBefore
    assert.equal(resolution.algorithm, algorithm)
    const topic = conflictAt(resolution.conflicts, 'm.room.topic')
    assert.deepEqual(topic?.candidates, [undefined, c.event_id])
    assert.equal(conflictAt(resolution.conflicts, 'm.room.member')?.winner, b.event_id)
    if (algorithm === 'v1') {
      assert.equal(topic?.winner, c.event_id)
      return
    }
    assert.equal(topic?.winner, undefined)
    const tried = resolution.decisions.filter(({ eventId }) => {
      return eventId === b.event_id || eventId === c.event_id
    })
    assert.deepEqual(
      tried.map(({ eventId, basis, verdict }) => [eventId, basis.list, verdict.allowed]),
      [
        [b.event_id, 'power', true],
        [c.event_id, 'mainline', false],
      ],
    )
  })
}

function conflictAt(conflicts: readonly Conflict[], type: string): Conflict | undefined {
  return conflicts.find((conflict) => conflict.type === type)
}

test('the state that another server told', async () => {
  const { room, world, explained } = await openRoom('11')
  const lost = await room.message(bob)
  const after = await room.message(bob, [lost])
  const state = await world.rooms.currentState(room.roomId)
  const ids = state?.ids().map(({ eventId }) => eventId) ?? []
  const told = ids.filter((_, at) => at !== ids.length - 1)
  await room.receive(after, new Map([[after.event_id, told]]))
  const found = await explained(after.event_id)
  assert.deepEqual(found.prevEvents, [{ eventId: lost.event_id, status: 'missing' }])
  assert.deepEqual(found.stateBefore, { basis: 'told', size: told.length, isDisputed: false })
  // The parent comes later, and leads to the state that was kept back.
  await room.receive(lost)
  const later = await explained(after.event_id)
  assert.deepEqual(later.stateBefore, { basis: 'told', size: told.length, isDisputed: true })
})

test('an outlier has no state before it', async () => {
  const { room, world, explained } = await openRoom('11')
  const message = await room.message(bob)
  await world.rooms.engine.storeOutliers(room.roomId, [message], there)
  const found = await explained(message.event_id)
  assert.deepEqual(
    [found.status, found.stateBefore.basis, found.checks.length],
    ['outlier', 'none', 1],
  )
})

test('the create event is judged by itself', async () => {
  for (const id of ['1', '12']) {
    const { room, world, explained } = await openRoom(id)
    const state = await world.rooms.currentState(room.roomId)
    const create = (await state?.event('m.room.create', '')) ?? assert.fail()
    const found = await explained(create.event_id)
    assert.equal(found.status, 'accepted')
    assert.deepEqual(found.checks[0]?.inputs, [])
    assert.deepEqual(
      found.signatures.map(({ outcome }) => outcome),
      ['good'],
    )
  }
})

/** What is said of signatures that the event came with, or was given since. */
const signatures: readonly [string, (pdu: Pdu) => JsonObject, readonly string[]][] = [
  ['as it came', (pdu) => pdu.json.signatures as JsonObject, ['good']],
  [
    'a wrong one',
    () => ({ [there]: { 'ed25519:1': encodeBase64(new Uint8Array(64)) } }),
    ['wrong'],
  ],
  ['one that is none', () => ({ [there]: { 'ed25519:1': 'x!' } }), ['wrong']],
  ['by a key that nobody knows', () => ({ [there]: { 'ed25519:2': 'AA' } }), ['unknown-key']],
  ['none', () => ({}), ['missing']],
  [
    'by strangers too',
    (pdu) => ({
      ...(pdu.json.signatures as JsonObject),
      'a b': { 'ed25519:1': 'AA' },
      'c.test': {},
    }),
    ['good', 'unknown-key', 'missing'],
  ],
  [
    'a thousand beside the good one',
    (pdu) => ({
      ...Object.fromEntries(Array.from({ length: 100 }, (_, at) => [`a${at}.test`, {}])),
      [there]: {
        ...Object.fromEntries(Array.from({ length: 1000 }, (_, at) => [`ed25519:0${at}`, 'AA'])),
        ...((pdu.json.signatures as JsonObject)[there] as JsonObject),
      },
    }),
    [
      'good',
      ...Array.from({ length: 9 }, () => 'unknown-key'),
      ...Array.from({ length: 19 }, () => 'missing'),
    ],
  ],
]

for (const [name, signed, outcomes] of signatures) {
  test(`signatures: ${name}`, async () => {
    const { room, world, explained } = await openRoom('11')
    const message = await room.message(bob)
    // Who signed an event is no part of its ID.
    const json = { ...message.json, signatures: signed(message) }
    const parsed = parsePdu(message.version, Buffer.from(JSON.stringify(json)))
    assert(parsed.ok && parsed.pdu.event_id === message.event_id)
    await world.rooms.engine.receive(room.roomId, [parsed.pdu], { origin: there })
    const found = await explained(message.event_id)
    assert.deepEqual(
      found.signatures.map(({ outcome }) => outcome),
      outcomes,
    )
  })
}

test('a key counts for as long as it was valid, since version 5', async () => {
  for (const [id, outcome] of [
    ['4', 'good'],
    ['5', 'late'],
  ] as const) {
    const { room, world, explained } = await openRoom(id)
    await knowTheirKey(world, { valid_until_ts: 1_600_000_000_000 })
    const message = await room.message(bob)
    await room.receive(message)
    assert.equal((await explained(message.event_id)).signatures[0]?.outcome, outcome)
  }
})

test('a redacted event is still signed, and no longer what was hashed', async () => {
  const { room, explained } = await openRoom('11')
  const message = await room.message(bob)
  await room.receive(message)
  const redaction = await room.ours('m.room.redaction', { redacts: message.event_id })
  const found = await explained(message.event_id)
  assert.deepEqual([found.redactedBy, found.hasContentHash], [redaction.event_id, false])
  assert.equal(found.signatures[0]?.outcome, 'good')
})

test('what is not here is not explained, and what a disk has changed is told', async () => {
  const { room, world } = await openRoom('11')
  assert.equal(await world.rooms.explain('$none'), undefined)
  const message = await room.ours('m.room.message', { body: 'x' })
  assert.equal(await world.rooms.explain(message.event_id, '!other:here.test'), undefined)
  const changed = Buffer.from(Buffer.from(message.bytes).toString().replace('alice', 'alicf'))
  await world.db.write((tx) => {
    const bytes = new Uint8Array(changed)
    tx.run(sql`UPDATE events SET bytes = ${bytes} WHERE event_id = ${message.event_id}`)
  })
  const loaded = (await loadRoom({ db: world.db, clock: realClock }, room.roomId)) ?? assert.fail()
  const explaining = explainEvent({ db: world.db, own: ours }, loaded, message.event_id)
  await assert.rejects(explaining, { name: 'EventCorrupted' })
})

test('of an event that waits for what it refers to, it is told why', async () => {
  const time = new VirtualTime()
  const { rooms, ...world } = await openEngine(memoryImage(), { clock: time.clock() })
  const room = await roomWithThem({ rooms, ...world }, versionOf('12'))
  const parent = await room.message(bob)
  const child = await room.message(bob, [parent])
  await rooms.engine.takeIn(there, [child.bytes])
  await time.run(600_000)
  assert.equal(await rooms.explain(child.event_id), undefined)
  const why = (await rooms.explainWaiting(child.event_id)) ?? ''
  const place = `It came from ${there} and waits for its place in ${room.roomId}: `
  assert.ok(why.startsWith(`${place}what it refers to is not here, and was asked for `), why)
  await room.receive(parent)
  await rooms.engine.settled()
  assert.equal(await rooms.explainWaiting(child.event_id), undefined)
  assert.equal((await rooms.explain(child.event_id))?.status, 'accepted')
})
