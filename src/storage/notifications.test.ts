import assert from 'node:assert/strict'
import { forEachDatabase } from '../../test/databases.ts'
import type { EventId, RoomId, UserId } from '../protocol/identifiers/ids.ts'
import type { Database } from './database.ts'
import { putMembership } from './memberships.ts'
import {
  addNotifiedEvent,
  beginToRead,
  lastNotifiedEvents,
  notifiedEvents,
  readPositions,
  removeNotifiedEvent,
  roomsReadSince,
  setReadPosition,
  touchReadPositions,
  trimNotifiedEvents,
} from './notifications.ts'
import {
  allPushers,
  deletePusher,
  deletePushersOfOthers,
  pusherOf,
  pushersOf,
  putPusher,
  setPusherDone,
} from './pushers.ts'

const room = '!room:x' as RoomId
const alice = '@alice:x' as UserId
const bob = '@bob:x' as UserId
const all = { from: 0, to: 1_000 }

async function addEvents(db: Database, streams: readonly number[]) {
  await db.write((tx) => {
    for (const stream of streams) {
      addNotifiedEvent(tx, {
        room_id: room,
        stream,
        thread_id: 'main',
        event_id: `$${stream}` as EventId,
        sender: bob,
        ts: stream,
        highlights: stream % 2,
        audience: '[]',
      })
    }
  })
}

const streamsIn = async (db: Database) =>
  (await notifiedEvents(db, room, all, 100)).map(({ stream }) => stream)

forEachDatabase('events that notify are read in their order, and the oldest go', async (db) => {
  await addEvents(db, [3, 4, 5, 6, 7])
  assert.deepEqual(await streamsIn(db), [3, 4, 5, 6, 7])
  const some = await notifiedEvents(db, room, { from: 3, to: 6 }, 2)
  assert.deepEqual(
    some.map(({ stream }) => stream),
    [4, 5],
  )
  const wish = { limit: 2, highlights: true }
  const last = await lastNotifiedEvents(db, room, all, wish)
  assert.deepEqual(
    last.map(({ stream, event_id }) => [stream, event_id]),
    [
      [7, '$7'],
      [5, '$5'],
    ],
  )
  await db.write((tx) => removeNotifiedEvent(tx, room, 5))
  await db.write((tx) => trimNotifiedEvents(tx, room, 2))
  assert.deepEqual(await streamsIn(db), [4, 6, 7])
  await db.write((tx) => trimNotifiedEvents(tx, room, 2))
  assert.deepEqual(await streamsIn(db), [4, 6, 7])
  await db.write((tx) => trimNotifiedEvents(tx, '!other:x' as RoomId, 0))
  assert.deepEqual(await streamsIn(db), [4, 6, 7])
})

forEachDatabase('a position is moved on and never back', async (db) => {
  await addEvents(db, [3, 4, 5])
  const set = (position: number, changed: number, thread_id = '') =>
    db.write((tx) =>
      setReadPosition(tx, { user_id: alice, room_id: room, thread_id, position, changed }),
    )
  const positions = async () =>
    (await readPositions(db, alice, room)).map(({ position, changed }) => [position, changed])
  await set(2, 10)
  // There was nothing to read.
  assert.deepEqual(await positions(), [[2, 0]])
  await set(4, 11)
  assert.deepEqual(await positions(), [[4, 11]])
  await set(3, 12)
  assert.deepEqual(await positions(), [[4, 11]])
  await set(5, 13)
  await set(9, 14)
  assert.deepEqual(await positions(), [[9, 13]])
  assert.deepEqual(await roomsReadSince(db, alice, { from: 12, to: 13 }), [room])
  assert.deepEqual(await roomsReadSince(db, alice, { from: 13, to: 99 }), [])
  await db.write((tx) => beginToRead(tx, { userId: alice, roomId: room, stream: 20 }))
  assert.deepEqual(await readPositions(db, alice, room), [
    { thread_id: '', position: 20, since: 20, changed: 20 },
  ])
})

forEachDatabase('a redaction is a change for those who are in the room', async (db) => {
  await db.write((tx) => {
    for (const [user_id, membership] of [
      [alice, 'join'],
      [bob, 'leave'],
    ] as const) {
      putMembership(tx, {
        user_id,
        room_id: room,
        membership,
        event_id: '$m' as EventId,
        sender: user_id,
        stream: 1,
        stripped_state: '[]',
      })
    }
    touchReadPositions(tx, room, 7)
  })
  assert.deepEqual(await roomsReadSince(db, alice, { from: 6, to: 7 }), [room])
  assert.deepEqual(await roomsReadSince(db, bob, { from: 0, to: 99 }), [])
})

forEachDatabase('pushers keep what they have done', async (db) => {
  const key = { user_id: alice, app_id: 'app', pushkey: 'key' }
  const row = {
    ...key,
    device_id: 'D',
    app_display_name: 'App',
    device_display_name: 'Phone',
    profile_tag: null,
    lang: 'en',
    data_json: '{}',
    enabled: 1,
    set_ts: 1,
    done: 5,
    badge: 0,
  }
  await db.write((tx) => putPusher(tx, row))
  await db.write((tx) => setPusherDone(tx, key, { done: 9, badge: 2 }))
  await db.write((tx) => putPusher(tx, { ...row, lang: 'de', set_ts: 2 }))
  const changed = { ...row, lang: 'de', set_ts: 2, done: 9, badge: 2 }
  assert.deepEqual(await pusherOf(db, key), changed)
  await db.write((tx) => putPusher(tx, { ...row, user_id: bob }))
  assert.deepEqual(await allPushers(db), [key, { ...key, user_id: bob }])
  await db.write((tx) => deletePushersOfOthers(tx, key))
  assert.deepEqual([await pushersOf(db, bob), await pushersOf(db, alice)], [[], [changed]])
  await db.write((tx) => deletePusher(tx, key))
  assert.deepEqual(await allPushers(db), [])
})
