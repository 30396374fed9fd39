import assert from 'node:assert/strict'
import type { EventId, RoomId } from '#protocol/identifiers/ids.ts'
import { forEachDatabase } from '../../test/databases.ts'
import { type Database, sql } from './database.ts'
import { eventStatuses, putEvent } from './events.ts'
import { firstPlaceOf, removeFromTimeline, removeRests, takeRoomAway } from './room-removal.ts'
import { addRoom, allRooms } from './rooms.ts'

const roomIds: readonly RoomId[] = ['!one:a.test', '!two:a.test']

/** Two rooms of eight events each at the same places; every second one is a state event. */
async function twoRooms(db: Database): Promise<void> {
  await db.write((tx) => {
    for (const [index, roomId] of roomIds.entries()) {
      addRoom(tx, { roomNid: index + 1, roomId, version: '12' })
      for (let at = 0; at < 8; at += 1) {
        const isState = at % 2 === 1
        putEvent(tx, index + 1, {
          event_nid: index * 100 + at + 1,
          event_id: `$e${index}x${at}` as EventId,
          status: eventStatuses.indexOf('accepted'),
          stream: 10 + Math.floor(at / 4),
          sub: (at % 4) - 3,
          depth: at,
          state_before: 1,
          state_after: 1,
          number: isState ? at : null,
          state_key_nid: isState ? 0 : null,
          auth_numbers: isState ? new Uint8Array() : null,
          membership: 0,
          origin_server_ts: at,
          bytes: new Uint8Array([at]),
        })
      }
    }
  })
}

async function eventsOf(db: Database, roomNid: number): Promise<string[]> {
  const rows = await db.all<{ event_id: string; status: number; stream: number | null }>(sql`
    SELECT event_id, status, stream FROM events WHERE room_nid = ${roomNid} ORDER BY event_nid
  `)
  return rows.map(({ event_id, status, stream }) => `${event_id} ${status} ${stream ?? '-'}`)
}

forEachDatabase('a part of one timeline goes, and its state events keep no place', async (db) => {
  await twoRooms(db)
  const other = await eventsOf(db, 2)
  const range = { from: { stream: 10, sub: -2 }, to: { stream: 11, sub: -2 } }
  await db.write((tx) => removeFromTimeline(tx, 1, range))
  const outlier = eventStatuses.indexOf('outlier')
  assert.deepEqual(await eventsOf(db, 1), [
    '$e0x0 0 10',
    `$e0x1 ${outlier} -`,
    `$e0x3 ${outlier} -`,
    '$e0x5 0 11',
    '$e0x6 0 11',
    '$e0x7 0 11',
  ])
  assert.deepEqual(await eventsOf(db, 2), other)
  const ids = ['$e0x7', '$e0x1', '$e0x5', '$e1x0'] as EventId[]
  assert.deepEqual(await firstPlaceOf(db, 1, ids), { stream: 11, sub: -2 })
  assert.equal(await firstPlaceOf(db, 1, ['$e0x1' as EventId]), undefined)
})

forEachDatabase('a room that was taken away goes whole, also after a crash', async (db) => {
  await twoRooms(db)
  const other = await eventsOf(db, 2)
  await db.write((tx) => takeRoomAway(tx, 1, '!one:a.test'))
  assert.deepEqual(await allRooms(db), ['!two:a.test'])
  assert.equal((await eventsOf(db, 1)).length, 8)
  await removeRests(db)
  assert.deepEqual(await eventsOf(db, 1), [])
  assert.deepEqual(await eventsOf(db, 2), other)
})
