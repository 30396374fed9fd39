/** What was stored before there was an index is in it after a while. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { silentLog } from '#io/log.ts'
import { VirtualTime } from '#io/simulated/simulated-clock.ts'
import type { Rooms } from '#rooms/rooms.ts'
import { putEvent } from '#storage/events.ts'
import { indexProgress } from '#storage/search-terms.ts'
import { openSqlite } from '#storage/sqlite.ts'
import { testDisk } from '../../test/databases.ts'
import { at, roomClientWorld } from '../../test/room-client-world.ts'
import { type Database, sql } from '../storage/database.ts'
import { createEventIndex } from './event-index.ts'

test('old events are looked through for relations too, but for what was redacted', async (t) => {
  const it = await roomClientWorld(t, { db: await testDisk().open() })
  const alice = await it.user('alice')
  const roomId = await alice.createRoom()
  const root = await alice.say(roomId, 'root')
  const reply = async (txn: string) => {
    const relation = { rel_type: 'm.thread', event_id: root }
    const body = { body: 'reply', 'm.relates_to': relation }
    return (await alice.put(at(roomId, `/send/m.room.message/${txn}`), body)).event_id
  }
  const [first, second, third] = [await reply('r1'), await reply('r2'), await reply('r3')]
  await alice.put(at(roomId, `/redact/${encodeURIComponent(third)}/x`), {})
  const relations = async () =>
    await it.db.all<{ event_id: string; stream: number }>(sql`
      SELECT event_id, stream FROM relations WHERE parent_id = ${root} ORDER BY stream
    `)
  const threads = () => it.db.all(sql`SELECT * FROM threads`)
  const before = [await relations(), await threads()]
  assert.deepEqual(
    before[0]?.map((row) => (row as { event_id: string }).event_id),
    [first, second],
  )
  // As if all of it had been stored by a program that knew nothing of relations.
  await it.db.write((tx) => {
    tx.run(sql`DELETE FROM relations`)
    tx.run(sql`DELETE FROM threads`)
    tx.run(sql`
      UPDATE event_index SET done_nid = 0, relations_nid = (SELECT MAX(event_nid) FROM events)
    `)
  })
  const found = await alice.post('/search', {
    search_categories: { room_events: { search_term: 'reply' } },
  })
  assert.equal(found.search_categories.room_events.count, 2)
  assert.deepEqual([await relations(), await threads()], before)
})

/** Stores an event of the room 1. */
const store = (db: Database, nid: number, body: string) =>
  db.write((tx) =>
    putEvent(tx, 1, {
      ...{ event_nid: nid, event_id: `$${nid}`, status: 0, stream: nid, sub: 0, depth: nid },
      ...{ state_before: 1, state_after: 1, number: null, state_key_nid: null },
      ...{ auth_numbers: null, membership: 0, origin_server_ts: nid },
      bytes: Buffer.from(JSON.stringify({ type: 'm.room.message', content: { body } })),
    }),
  )

test('of long texts a few are looked through at once, and all of them in the end', async () => {
  const db = await openSqlite({})
  const time = new VirtualTime()
  const words = (nid: number) =>
    Array.from({ length: 900 }, (_, at) => `word${nid}x${at}`).join(' ')
  const short = 150
  const long = 30
  for (let nid = 1; nid <= short; nid += 1) await store(db, nid, 'hello')
  for (let nid = short + 1; nid <= short + long; nid += 1) await store(db, nid, words(nid))
  const termCount = async () =>
    (await db.first<{ count: number }>(sql`SELECT COUNT(*) AS count FROM search_terms`))?.count ?? 0
  const added: number[] = []
  let before = 0
  const index = createEventIndex({
    db: {
      all: (statement) => db.all(statement),
      first: (statement) => db.first(statement),
      write: (collect) => {
        const done = db.write(collect)
        const counted = done.then(termCount).then((after) => {
          added.push(after - before)
          before = after
        })
        return counted.then(() => done)
      },
      close: () => db.close(),
    },
    clock: time.clock(),
    log: silentLog,
    rooms: { onCommit: () => {} },
  })
  index.start()
  await time.run(60_000)
  await index.close()
  assert.equal(await termCount(), short + 900 * long)
  assert.deepEqual(added.slice(0, 1), [100])
  // What others wait for is so much, and what is left out of a page is in the next.
  for (const terms of added) assert.ok(terms < 3000, `${terms} terms at once`)
})

test('what is stored while the last page is looked through is looked through, too', async () => {
  const db = await openSqlite({})
  const time = new VirtualTime()
  await store(db, 1, 'hello')
  const listeners: Parameters<Rooms['onCommit']>[0][] = []
  let isFirst = true
  const all: Database['all'] = async (statement) => {
    const rows = await db.all(statement)
    if (isFirst) {
      isFirst = false
      await store(db, 2, 'hello')
      for (const listener of listeners) listener({ timeline: [{}] } as never)
    }
    return rows as never
  }
  const index = createEventIndex({
    db: {
      all,
      first: (statement) => db.first(statement),
      write: (collect) => db.write(collect),
      close: () => db.close(),
    },
    clock: time.clock(),
    log: silentLog,
    rooms: { onCommit: (listener) => listeners.push(listener) },
  })
  index.start()
  await time.run(10_000)
  await index.close()
  assert.equal((await indexProgress(db)).done_nid, 2)
})
