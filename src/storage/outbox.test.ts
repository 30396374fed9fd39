/** What federation keeps is kept alike by every database. */

import assert from 'node:assert/strict'
import type { EventId, RoomId, ServerName } from '#protocol/identifiers/ids.ts'
import { forEachDatabase } from '../../test/databases.ts'
import { clearFailure, failingDestinations, saveFailure } from './destinations.ts'
import { deviceOutboxOf } from './device-outbox.ts'
import { eduDestinations, edusFor, removeEdus, saveEdu, trimEdus } from './edu-outbox.ts'
import {
  addToOutbox,
  isOutboxLongerThan,
  keepNewestOfEachRoom,
  type OutboxRow,
  outboxDestinations,
  outboxOf,
  removeFromOutbox,
} from './outbox.ts'
import {
  dueQuarantine,
  makeDue,
  quarantineDeviceRow,
  quarantineEvent,
  quarantineList,
  removeFromQuarantine,
  requeue,
  trimQuarantinedDevices,
  trimQuarantinedEvents,
} from './outbox-quarantine.ts'
import { noteRefusedEvents, refusalsOf, refusedBy } from './refused-events.ts'
import { saveServerKey, serverKeysOf } from './server-keys.ts'
import { deleteExpiredStickyEvents, putStickyEvent } from './sticky-events.ts'

const [a, b] = ['a.test' as ServerName, 'b.test' as ServerName]

forEachDatabase('outbox rows are kept in order, thinned out, put aside and removed', async (db) => {
  await db.write((tx) => {
    for (const stream of [10, 9, 2, 30]) {
      const roomId = stream < 10 ? '!one' : '!two'
      addToOutbox(tx, { stream, roomId, eventId: `$${stream}`, destinations: [a, b] })
    }
    addToOutbox(tx, { stream: 30, sub: 1, roomId: '!two', eventId: '$31', destinations: [a] })
    addToOutbox(tx, { stream: 3, roomId: '!one', eventId: '$sticky', destinations: [a] })
    const sticky = { room_id: '!one', event_id: '$sticky', sender: '@a:a.test' } as const
    putStickyEvent(tx, { ...sticky, stream: 3, expires_ts: 1 })
  })
  const left = async () => (await outboxOf(db, a, 10)).map((row) => row.event_id)
  assert.deepEqual(await outboxDestinations(db), [a, b])
  assert.deepEqual(await left(), ['$2', '$sticky', '$9', '$10', '$30', '$31'])
  assert.equal(await isOutboxLongerThan(db, a, 5), true)
  assert.equal(await isOutboxLongerThan(db, a, 6), false)
  await db.write((tx) => keepNewestOfEachRoom(tx, a))
  assert.deepEqual(await left(), ['$sticky', '$9', '$30', '$31'])
  await db.write((tx) => {
    deleteExpiredStickyEvents(tx, 1)
    keepNewestOfEachRoom(tx, a)
  })
  assert.deepEqual(await left(), ['$9', '$30', '$31'])
  const [first, second] = await outboxOf(db, a, 2)
  assert.ok(first && second)
  await db.write((tx) => {
    removeFromOutbox(tx, a, [first])
    quarantineEvent(tx, a, second, { reason: 'too strange', now: 7, retryTs: null })
  })
  assert.deepEqual(await left(), ['$31'])
  const [refused, ...rest] = await quarantineList(db, { after: start, limit: 5 })
  assert.deepEqual(
    [refused?.event_id, refused?.reason, refused?.refused_ts, refused?.refusals, rest],
    ['$30', 'too strange', 7, 1, []],
  )
  assert.ok(refused)
  await db.write((tx) => requeue(tx, refused))
  assert.deepEqual(await left(), ['$30', '$31'])
  assert.equal((await outboxOf(db, a, 1))[0]?.refusals, 1)
  assert.equal((await outboxOf(db, b, 10)).length, 4)
})

const start = { destination: '' as ServerName, stream: 0, sub: 0, event_id: '' } as const

forEachDatabase(
  'what is in quarantine is listed in order, and goes back when it is due',
  async (db) => {
    const message = {
      stream: 3,
      sub: 1,
      kind: 'message',
      user_id: '@u:us.test',
      edu_json: '{}',
      refusals: 4,
    } as const
    const event = { stream: 3, sub: 1, event_id: '$e', room_id: '!r', refusals: 0 } as const
    await db.write((tx) => {
      quarantineDeviceRow(tx, b, message, { reason: 'm', now: 5, retryTs: 50 })
      quarantineEvent(tx, b, event, { reason: 'e', now: 5, retryTs: 60 })
      quarantineEvent(tx, a, event, { reason: 'e', now: 5, retryTs: null })
    })
    const all = await quarantineList(db, { after: start, limit: 5 })
    assert.deepEqual(
      all.map((row) => `${row.destination} ${row.event_id} ${row.user_id} ${row.refusals}`),
      [`${a} $e null 1`, `${b}  @u:us.test 5`, `${b} $e null 1`],
    )
    for (const [index, row] of all.entries()) {
      const rest = await quarantineList(db, { after: row, limit: 5 })
      assert.deepEqual(rest, all.slice(index + 1))
    }
    assert.deepEqual(await dueQuarantine(db, 49, 5), [])
    const [due, later] = await dueQuarantine(db, 60, 5)
    assert.ok(due && later)
    const [never] = all
    assert.ok(never)
    await db.write((tx) => makeDue(tx, never, 40))
    const [first, ...others] = await dueQuarantine(db, 49, 5)
    assert.deepEqual([first, others], [{ ...never, retry_ts: 40 }, []])
    await db.write((tx) => {
      requeue(tx, due)
      removeFromQuarantine(tx, later)
    })
    assert.deepEqual(await deviceOutboxOf(db, b, 5), [{ ...message, refusals: 5 }])
    assert.equal((await quarantineList(db, { after: start, limit: 5 })).length, 1)
  },
)

forEachDatabase('of what is in quarantine the newest is kept for each destination', async (db) => {
  const refusal = { reason: 'no', now: 5, retryTs: null }
  const putEvent = (stream: number, room: string, { of = a, sub = 0 } = {}) =>
    db.write((tx) => {
      const row = {
        stream,
        sub,
        event_id: `$${stream}.${sub}`,
        room_id: room,
        refusals: 0,
      } as const
      quarantineEvent(tx, of, row as OutboxRow, refusal)
    })
  const putMessage = (stream: number, sub: number, of = a) =>
    db.write((tx) => {
      const row = { kind: 'message', user_id: '@u:us.test', edu_json: '{}', refusals: 0 } as const
      quarantineDeviceRow(tx, of, { ...row, stream, sub }, refusal)
    })
  const left = async (of: ServerName) =>
    (await quarantineList(db, { after: { ...start, destination: of }, limit: 99 }))
      .filter(({ destination }) => destination === of)
      .map(({ stream, sub, event_id }) => event_id || `${stream}.${sub}`)
  const trim = async (events: number, devices: number) => ({
    events: await db.write((tx) => trimQuarantinedEvents(tx, a, events)),
    devices: await db.write((tx) => trimQuarantinedDevices(tx, a, devices)),
  })

  await putEvent(1, '!quiet')
  for (const stream of [2, 3, 4]) await putEvent(stream, '!busy')
  await putEvent(4, '!busy', { sub: 1 })
  for (const [stream, sub] of [
    [2, 0],
    [5, 0],
    [5, 1],
  ] as const) {
    await putMessage(stream, sub)
  }
  await putEvent(1, '!busy', { of: b })
  await putMessage(1, 0, b)

  assert.deepEqual(await trim(5, 3), { events: [], devices: [] })
  assert.equal((await left(a)).length, 8)
  // The newest of a room leads to all before it.
  const first = await trim(3, 2)
  assert.deepEqual([first.events.toSorted(), first.devices], [['$2.0', '$3.0'], ['@u:us.test']])
  assert.deepEqual(await left(a), ['$1.0', '$4.0', '$4.1', '5.0', '5.1'])
  const second = await trim(1, 1)
  assert.deepEqual([second.events.toSorted(), second.devices.length], [['$1.0', '$4.0'], 1])
  assert.deepEqual(await left(a), ['$4.1', '5.1'])
  assert.deepEqual(await left(b), ['1.0', '$1.0'])
})

forEachDatabase('what servers could not use is kept, the newest of each', async (db) => {
  const [a, b] = ['a.test', 'b.test'] as ServerName[] as [ServerName, ServerName]
  const event = (number: number, error = `error ${number}`) => ({
    event_id: `$e${number}` as EventId,
    room_id: '!r' as RoomId,
    error,
    refused_ts: number,
  })
  const all = Array.from({ length: 1005 }, (_, index) => event(index))
  await db.write((tx) => noteRefusedEvents(tx, a, all))
  await db.write((tx) => noteRefusedEvents(tx, b, [event(3), event(4)]))
  const kept = await refusedBy(db, a, 2000)
  assert.equal(kept.length, 1000)
  assert.deepEqual(kept[0], { destination: a, ...event(1004) })
  assert.deepEqual(kept.at(-1), { destination: a, ...event(5) })
  await db.write((tx) => noteRefusedEvents(tx, b, [{ ...event(3, 'again'), refused_ts: 9 }]))
  assert.deepEqual(
    (await refusedBy(db, b, 1)).map(({ event_id, error }) => [event_id, error]),
    [['$e3', 'again']],
  )
  const of = async (roomId: string) =>
    (await refusalsOf(db, roomId as RoomId, '$e1000' as EventId)).map(({ error }) => error)
  assert.deepEqual([await of('!r'), await of('!other')], [['error 1000'], []])
})

forEachDatabase(
  'an EDU takes the place of the one before, and only what was sent is removed',
  async (db) => {
    const save = (edu_key: string, place: number) =>
      db.write((tx) => saveEdu(tx, a, { edu_key, place, edu_json: `{"n":${place}}` }))
    for (const [place, key] of ['x', 'y', 'z', 'x'].entries()) await save(key, place)
    const keys = async () => (await edusFor(db, a, 10)).map((row) => `${row.edu_key}${row.place}`)
    assert.deepEqual(await keys(), ['y1', 'z2', 'x3'])
    const sent = await edusFor(db, a, 1)
    await save('y', 9)
    await db.write((tx) => removeEdus(tx, a, sent))
    assert.deepEqual(await keys(), ['z2', 'x3', 'y9'])
    await db.write((tx) => trimEdus(tx, a, 5))
    assert.equal((await keys()).length, 3)
    await db.write((tx) => trimEdus(tx, a, 2))
    assert.deepEqual(await keys(), ['x3', 'y9'])
    assert.deepEqual(await eduDestinations(db), [a])
  },
)

forEachDatabase('failures and keys', async (db) => {
  const failure = {
    destination: a,
    failing_since_ts: 1,
    retry_at_ts: 2_000_000_000_000,
    retry_interval_ms: 15_000,
    reason: 'gone',
  }
  await db.write((tx) => saveFailure(tx, failure))
  await db.write((tx) => saveFailure(tx, { ...failure, failing_since_ts: 5, reason: 'still gone' }))
  assert.deepEqual(await failingDestinations(db), [{ ...failure, reason: 'still gone' }])
  await db.write((tx) => clearFailure(tx, a))
  assert.deepEqual(await failingDestinations(db), [])

  const key = {
    key_id: 'ed25519:1',
    key_base64: 'AAAA',
    valid_until_ts: 2_000_000_000_000,
    expired: 0,
    fetched_ts: 1,
    fetched_from: a,
    response_json: '{}',
  }
  await db.write((tx) => saveServerKey(tx, a, key))
  await db.write((tx) => saveServerKey(tx, a, { ...key, key_base64: 'BBBB', fetched_ts: 2 }))
  assert.deepEqual(await serverKeysOf(db, a), [key])
  await db.write((tx) => saveServerKey(tx, a, { ...key, expired: 1, fetched_ts: 3 }))
  assert.deepEqual(await serverKeysOf(db, a), [{ ...key, expired: 1, fetched_ts: 3 }])
})
