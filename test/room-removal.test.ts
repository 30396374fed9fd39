/**
 * Rooms and old history that administrators remove: all of it goes, and nothing else.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import type { EventId, RoomId } from '../src/protocol/identifiers/ids.ts'
import { type Sql, sql } from '../src/storage/database.ts'
import { takeRoomAway } from '../src/storage/room-removal.ts'
import { openSqlite } from '../src/storage/sqlite.ts'
import { FederationWorld, type TestServer } from './federation-world.ts'
import { askAdmin } from './forked-room.ts'
import { versionNamed } from './room-world.ts'

type Rows = Readonly<Record<string, readonly Record<string, unknown>[]>>

/** What is in the store that says of itself which room it belongs to, by table. */
async function rowsOf({ life: { db } }: TestServer, roomId: RoomId): Promise<Rows> {
  const found = await db.all<{ room_nid: number }>(
    sql`SELECT room_nid FROM rooms WHERE room_id = ${roomId}`,
  )
  const nid = found[0]?.room_nid
  const rows: Record<string, Record<string, unknown>[]> = {}
  for (const { table, column } of await roomTables(db)) {
    const text: Sql = { texts: [`SELECT * FROM ${table} WHERE ${column} = `, ''], values: [] }
    const value = column === 'room_id' ? roomId : (nid ?? null)
    const all = await db.all<Record<string, unknown>>({ ...text, values: [value] })
    if (all.length > 0) rows[table] = all
  }
  return rows
}

/** All tables with a column that names a room. */
async function roomTables(
  db: Pick<TestServer['life']['db'], 'all'>,
): Promise<{ table: string; column: string }[]> {
  return await db.all(sql`
    SELECT m.name AS "table", c.name AS "column" FROM sqlite_master m
    JOIN pragma_table_info(m.name) c
    WHERE m.type = 'table' AND c.name IN ('room_id', 'room_nid') ORDER BY m.name
  `)
}

/** How often a text is in the events of a server. */
async function mentionsOf({ life: { db } }: TestServer, text: string): Promise<number> {
  const rows = await db.all<{ bytes: Uint8Array }>(sql`SELECT bytes FROM events`)
  return rows.filter(({ bytes }) => Buffer.from(bytes).includes(text)).length
}

/** Two servers with Alice and Bob in a room, and what was said there; and another room of theirs. */
async function twoRooms() {
  const world = new FederationWorld()
  const [a, b] = await world.start('a', 'b')
  const [alice, bob] = [a.user('alice'), b.user('bob')]
  const rooms: RoomId[] = []
  for (const _ of ['one', 'two']) {
    const roomId = await a.createRoom(alice, versionNamed('12'))
    await b.join(bob, roomId, [a])
    rooms.push(roomId)
  }
  const [roomId = assert.fail(), other = assert.fail()] = rooms
  const said: EventId[] = []
  for (let count = 0; count < 12; count += 1) {
    said.push(await a.say(alice, roomId, `word ${count}.`))
    if (count === 5) await a.send(roomId, { sender: alice, ...topic('half-way') })
    await a.say(alice, other, `elsewhere ${count}.`)
  }
  await world.settle()
  return { world, a, b, alice, bob, roomId, other, said }
}

const topic = (text: string) => ({
  type: 'm.room.topic',
  state_key: '',
  content: { topic: text },
})

function remove(server: TestServer, roomId: RoomId, query = '', token = 'root') {
  const target = `rooms/${encodeURIComponent(roomId)}${query}`
  return askAdmin(server, target, { method: 'DELETE', token })
}

function removeHistory(server: TestServer, roomId: RoomId, body: object) {
  const target = `rooms/${encodeURIComponent(roomId)}/delete_history`
  return askAdmin(server, target, { method: 'POST', body })
}

test('history before an event goes, and can be fetched again', async () => {
  const { world, a, b, alice, bob, roomId, other, said } = await twoRooms()
  const everything = await b.messages(roomId)
  const elsewhere = await rowsOf(b, other)
  const state = await b.stateOf(roomId)
  const answer = await removeHistory(b, roomId, { before_event: said[8] })
  assert.equal(answer.status, 200, JSON.stringify(answer.body))
  // Eight messages; the topic, and Bob's join by which the room came here.
  assert.deepEqual(answer.body, { removed: 8, kept: 2 })
  assert.deepEqual(await b.messages(roomId), everything.slice(-4))
  assert.equal(await mentionsOf(b, 'word 7.'), 0)
  assert.equal(await mentionsOf(b, 'word 8.'), 1)
  assert.deepEqual(await b.stateOf(roomId), state)
  assert.deepEqual(await rowsOf(b, other), elsewhere)
  const first = await b.rooms.event(roomId, said[8] as EventId)
  assert.equal(first?.gapBefore, true)
  assert.equal(await b.rooms.event(roomId, said[7] as EventId), undefined)

  // Life goes on, also after a restart, and what is missing can be had.
  b.stop()
  await b.restart()
  await b.say(bob, roomId, 'still here')
  await a.say(alice, roomId, 'so am I')
  await world.settle()
  const position = first?.position ?? assert.fail()
  while ((await world.await(b.rooms.fillHistory(roomId, position, 100))) > 0);
  assert.deepEqual(await b.messages(roomId), [...everything, 'still here', 'so am I'])
  assert.deepEqual(b.errors, [])
})

test('history before a time goes, but never the newest events', async () => {
  const { a, alice, roomId, said } = await twoRooms()
  const event = await a.rooms.event(roomId, said[2] as EventId)
  const ts = event?.pdu.origin_server_ts
  assert.equal((await removeHistory(a, roomId, { before_ts: ts })).status, 200)
  const left = await a.messages(roomId)
  assert.equal(left.at(-1), 'word 11.')
  assert.ok(left.length <= 12)
  const end = { stream: Number.MAX_SAFE_INTEGER, sub: 0 }
  await a.rooms.removeHistory(roomId, end)
  assert.deepEqual(await a.messages(roomId), ['word 11.'])
  // There is nothing left to go.
  assert.deepEqual(await a.rooms.removeHistory(roomId, end), { removed: 0, kept: 0 })
  await a.say(alice, roomId, 'and on')
  assert.deepEqual(await a.messages(roomId), ['word 11.', 'and on'])
})

test('history of more than a page goes from the newest to the oldest', async () => {
  const world = new FederationWorld()
  const [a] = await world.start('a')
  const alice = a.user('alice')
  const roomId = await a.createRoom(alice, versionNamed('12'))
  for (let count = 0; count < 1100; count += 1) await a.say(alice, roomId, `word ${count}.`)
  const stopAt = await a.say(alice, roomId, 'from here on')
  const { position = assert.fail() } = (await a.rooms.event(roomId, stopAt)) ?? {}
  const { removed } = await a.rooms.removeHistory(roomId, position)
  assert.equal(removed, 1100)
  assert.deepEqual(await a.messages(roomId), ['from here on'])
  assert.equal(await mentionsOf(a, 'word '), 0)
})

test('what is to go must be said so that it can be understood', async () => {
  const { a, b, bob, roomId, other, said } = await twoRooms()
  const refused = async (room: RoomId, body: object) => {
    const { status, body: answer } = await removeHistory(a, room, body)
    return `${status} ${answer.errcode}`
  }
  assert.equal(await refused(roomId, {}), '400 M_INVALID_PARAM')
  assert.equal(
    await refused(roomId, { before_ts: 1, before_event: said[3] }),
    '400 M_INVALID_PARAM',
  )
  assert.equal(await refused(other, { before_event: said[3] }), '404 M_NOT_FOUND')
  assert.equal(await refused(roomId, { before_ts: 2 ** 52 }), '404 M_NOT_FOUND')
  assert.equal(await refused('!none:a.test' as RoomId, { before_ts: 1 }), '404 M_NOT_FOUND')
  assert.equal((await remove(a, roomId, '', 'alice')).status, 403)
  assert.equal((await remove(a, '!none:a.test' as RoomId)).status, 404)
  const inside = await remove(b, roomId)
  assert.deepEqual([inside.status, inside.body.errcode], [400, 'M_UNKNOWN'])
  assert.match(String(inside.body.error), new RegExp(bob))
  assert.equal((await a.messages(roomId)).length, 12)
})

test('a room goes with all that belongs to it, and can be joined again', async () => {
  const { world, a, b, bob, roomId, other } = await twoRooms()
  const everything = await a.messages(roomId)
  const elsewhere = await rowsOf(b, other)
  world.cut(a, b)
  const early = await remove(b, roomId, '?leave=true')
  assert.match(String(early.body.error), /still to be sent to a\.test/)
  world.heal()
  await world.settle(120_000)
  assert.equal(await a.membershipIn(roomId, bob), 'leave')
  assert.deepEqual((await remove(b, roomId)).body, { left: [] })
  assert.deepEqual(await rowsOf(b, roomId), {})
  assert.equal(await mentionsOf(b, 'word'), 0)
  assert.deepEqual(await rowsOf(b, other), elsewhere)
  assert.equal(await b.rooms.version(roomId), undefined)
  assert.deepEqual(
    (await b.rooms.membershipsOf(bob, { forgotten: true })).map((one) => one.roomId),
    [other],
  )
  await world.await(b.join(bob, roomId, [a]))
  await b.say(bob, roomId, 'back again')
  await world.settle()
  assert.deepEqual(await a.messages(roomId), [...everything, 'back again'])
  assert.deepEqual([...a.errors, ...b.errors], [])
})

test('what cannot be delivered any more is given up with the room', async () => {
  const { world, a, b, bob, roomId } = await twoRooms()
  a.stop()
  const query = '?leave=true&give_up_undelivered=true'
  assert.deepEqual((await world.await(remove(b, roomId, query))).body, { left: [bob] })
  assert.deepEqual(await rowsOf(b, roomId), {})
})

test('a removal that a crash cut short is ended at the next start', async () => {
  const { b, roomId, other } = await twoRooms()
  const elsewhere = await rowsOf(b, other)
  const { life } = b
  const [row] = await life.db.all<{ room_nid: number }>(
    sql`SELECT room_nid FROM rooms WHERE room_id = ${roomId}`,
  )
  await life.db.write((tx) => takeRoomAway(tx, row?.room_nid ?? 0, roomId))
  assert.equal(await mentionsOf(b, 'word 7.'), 1)
  b.stop()
  await b.restart()
  assert.equal(await mentionsOf(b, 'word 7.'), 0)
  assert.deepEqual(await rowsOf(b, other), elsewhere)
})

/** Tables with rows about a room from which nothing is removed, and why. */
const kept: Readonly<Record<string, string>> = {
  reports: 'what users reported to the administrators, who decide when it was dealt with',
  backed_up_keys: 'what users keep for themselves; they may read the room on other servers',
}

test('a table that knows rooms is one that rooms are removed from', async () => {
  const text = readFileSync(new URL('../src/storage/room-removal.ts', import.meta.url), 'utf8')
  const emptied = new Set([...text.matchAll(/DELETE FROM (\w+)/g)].map(([, table]) => table))
  const db = await openSqlite({ path: ':memory:' })
  const tables = (await roomTables(db)).map(({ table }) => table)
  await db.close()
  assert.ok(tables.includes('events'))
  const forgotten = tables.filter(
    (table) => !emptied.has(table) && table !== 'room_imports' && kept[table] === undefined,
  )
  assert.deepEqual(forgotten, [])
})
