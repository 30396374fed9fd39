import assert from 'node:assert/strict'
import type { RoomId, UserId } from '#protocol/identifiers/ids.ts'
import { forEachDatabase } from '../../test/databases.ts'
import { sql } from './database.ts'
import {
  addConnection,
  connectionsOf,
  deleteConnection,
  deleteConnectionsOfDevices,
  forgetSentAfter,
  highestConnectionNid,
  putSentRoom,
  sentRooms,
  setConnection,
} from './sliding-sync.ts'

const device = { userId: '@alice:a.test' as UserId, deviceId: 'PHONE' }
const [one, two]: readonly RoomId[] = ['!one:a.test', '!two:a.test']

function room(room_id: RoomId | undefined, version: number, up_to: number | null) {
  assert.ok(room_id)
  return { room_id, version, up_to, config: 0, is_dm: 0 }
}

forEachDatabase('what a client knows of rooms, as of each of its last two answers', async (db) => {
  await db.write((tx) => {
    addConnection(tx, device, { connection_nid: 7, conn_id: 'main', used_ts: 1 })
    putSentRoom(tx, 7, room(one, 1, null), undefined)
    putSentRoom(tx, 7, room(two, 1, null), undefined)
  })
  await db.write((tx) => putSentRoom(tx, 7, room(one, 2, 50), 1))
  const at = async (version: number) => {
    const rows = await sentRooms(db, 7, version)
    return rows.map(({ room_id, up_to }) => `${room_id} ${up_to}`).sort()
  }
  assert.deepEqual(await at(0), [])
  assert.deepEqual(await at(1), ['!one:a.test null', '!two:a.test null'])
  assert.deepEqual(await at(2), ['!one:a.test 50', '!two:a.test null'])
  // The answer with the third version keeps beside it only what the second said.
  await db.write((tx) => putSentRoom(tx, 7, room(one, 3, null), 2))
  assert.deepEqual(await at(1), ['!two:a.test null'])
  assert.deepEqual(await at(2), ['!one:a.test 50', '!two:a.test null'])
  assert.deepEqual(await at(3), ['!one:a.test null', '!two:a.test null'])
  await db.write((tx) => forgetSentAfter(tx, 7, 2))
  assert.deepEqual(await at(3), ['!one:a.test 50', '!two:a.test null'])
})

forEachDatabase('connections belong to devices, and go with them', async (db) => {
  const other = { ...device, deviceId: 'LAPTOP' }
  assert.equal(await highestConnectionNid(db), 0)
  await db.write((tx) => {
    addConnection(tx, device, { connection_nid: 1, conn_id: 'a', used_ts: 1 })
    addConnection(tx, device, { connection_nid: 2, conn_id: 'b', used_ts: 2 })
    addConnection(tx, other, { connection_nid: 3, conn_id: 'a', used_ts: 3 })
    for (const nid of [1, 2, 3]) putSentRoom(tx, nid, room(one, 1, null), undefined)
    setConnection(tx, { connection_nid: 1, used_ts: 9, configs_json: '["x"]' })
  })
  assert.equal(await highestConnectionNid(db), 3)
  const names = async (of = device) => (await connectionsOf(db, of)).map((row) => row.conn_id)
  assert.deepEqual(await names(), ['a', 'b'])
  assert.equal((await connectionsOf(db, device))[0]?.configs_json, '["x"]')
  await db.write((tx) => deleteConnection(tx, 1))
  assert.deepEqual([await names(), await sentRooms(db, 1, 1)], [['b'], []])
  await db.write((tx) =>
    deleteConnectionsOfDevices(tx, device.userId, sql`device_id = ${device.deviceId}`),
  )
  assert.deepEqual([await names(), await sentRooms(db, 2, 1)], [[], []])
  assert.deepEqual([await names(other), (await sentRooms(db, 3, 1)).length], [['a'], 1])
})
