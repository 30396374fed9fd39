/** Events that stick are kept alike by every database. */

import assert from 'node:assert/strict'
import type { EventId, RoomId, UserId } from '#protocol/identifiers/ids.ts'
import { forEachDatabase } from '../../test/databases.ts'
import {
  deleteExpiredStickyEvents,
  deleteStickyEvent,
  firstStickyEvents,
  lastStickyEvents,
  putStickyEvent,
  softFailedStickyEvents,
  stickyExpiries,
} from './sticky-events.ts'

const [one, two] = ['!one', '!two'] as RoomId[] as [RoomId, RoomId]
const [alice, bob] = ['@alice:a.test', '@bob:a.test'] as UserId[] as [UserId, UserId]
const id = (name: string) => `$${name}` as EventId

forEachDatabase('events that stick are found by room, place, sender and time', async (db) => {
  const put = async (
    name: string,
    stream: number | null,
    { room_id = one, sender = alice, expires_ts = 100 } = {},
  ) => {
    const row = { room_id, sender, expires_ts, event_id: id(name), stream }
    await db.write((tx) => putStickyEvent(tx, row))
  }
  await put('a', 10)
  await put('b', 20, { sender: bob })
  await put('c', 15, { room_id: two, expires_ts: 50 })
  await put('refused', null, { expires_ts: 80 })
  const part = { roomIds: [one, two], from: 0, to: 20, now: 0, ignored: [] as string[], limit: 10 }
  const first = async (more: Partial<typeof part> = {}) =>
    (await firstStickyEvents(db, { ...part, ...more })).map((row) => [row.event_id, row.stream])
  assert.deepEqual(await first(), [
    ['$a', 10],
    ['$c', 15],
    ['$b', 20],
  ])
  assert.deepEqual(await first({ limit: 1 }), [['$a', 10]])
  assert.deepEqual(await first({ from: 10, to: 19 }), [['$c', 15]])
  assert.deepEqual(await first({ roomIds: [two] }), [['$c', 15]])
  assert.deepEqual(await first({ roomIds: [] }), [])
  assert.deepEqual(await first({ ignored: [alice, '@x:y'] }), [['$b', 20]])
  assert.deepEqual(await first({ now: 50, limit: 1 }), [['$a', 10]])
  const last = await lastStickyEvents(db, { ...part, limit: 2 })
  assert.deepEqual(
    last.map(({ event_id }) => event_id),
    ['$b', '$c'],
  )
  const refused = (now: number) => softFailedStickyEvents(db, one, { now, limit: 5 })
  assert.deepEqual(
    (await refused(0)).map(({ event_id, sender }) => [event_id, sender]),
    [['$refused', alice]],
  )
  assert.deepEqual(await refused(80), [])
  // It has its place now, and expires when it would have.
  await put('refused', 30, { expires_ts: 999 })
  assert.deepEqual(await refused(0), [])
  assert.deepEqual(await stickyExpiries(db, one, [id('refused'), id('c')]), [
    { event_id: '$refused', expires_ts: 80 },
  ])
  await db.write((tx) => {
    deleteStickyEvent(tx, one, id('a'))
    deleteExpiredStickyEvents(tx, 80)
  })
  assert.deepEqual(await first({ to: 99 }), [['$b', 20]])
})
