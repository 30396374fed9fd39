/**
 * A store from before `0054-leaner-indices.sql` has all that it had after it.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { realClock } from '#io/real-clock.ts'
import { databaseKinds, emptySchema, reasonToSkip } from '../../test/databases.ts'
import { postgresUrl } from '../../test/postgres-cluster.ts'
import { type Database, sql } from './database.ts'
import { eventRows, roomOfEvent } from './events.ts'
import { type Migration, programMigrations } from './migrate.ts'
import { openPostgres } from './postgres.ts'
import { addRoom } from './rooms.ts'
import { memoryImage, openSqlite } from './sqlite.ts'
import { idOfTransaction, transactionIdsOf } from './transactions.ts'

type Open = (migrations: readonly Migration[]) => Promise<Database>

const openers: Record<string, () => Promise<Open>> = {
  'sqlite in memory': async () => {
    const image = memoryImage()
    return (migrations) => openSqlite({ image, migrations })
  },
  postgres: async () => {
    const url = await postgresUrl()
    const schema = await emptySchema(url)
    const onFatal = (error: Error) => assert.fail(error)
    return (migrations) => openPostgres({ url, schema, clock: realClock, onFatal, migrations })
  },
}

const earlier = programMigrations.filter(({ name }) => name < '0054')
const key = { userId: '@u:h', deviceId: 'D', path: 'rooms/!r:h/send/m.room.message' } as const

for (const kind of databaseKinds) {
  const opener = openers[kind.name]
  if (opener === undefined) continue
  test(`events and transactions are kept (${kind.name})`, {
    skip: reasonToSkip(kind),
  }, async () => {
    const open = await opener()
    const before = await open(earlier)
    await before.write((tx) => {
      addRoom(tx, { roomNid: 4, roomId: '!r:h', version: '12' })
      addRoom(tx, { roomNid: 5, roomId: '!s:h', version: '12' })
      for (const [nid, room, id, stream] of [
        [1, 4, '$a', 7],
        [2, 4, '$b', null],
        [3, 5, '$a', 9],
      ] as const) {
        tx.run(sql`
          INSERT INTO events (event_nid, room_nid, event_id, status, stream, sub, depth, state_before,
            state_after, number, state_key_nid, auth_numbers, membership, redacted_by, bytes,
            origin_server_ts, checksum)
          VALUES (${nid}, ${room}, ${id}, 0, ${stream}, ${stream === null ? null : 0}, 3, 1, 2, ${nid},
            6, ${new Uint8Array([1, 0, 0, 0])}, 1, ${nid === 2 ? '$c' : null},
            ${new Uint8Array([nid, 8])}, 1234, ${nid === 3 ? null : 55})
        `)
      }
      for (const [txnId, id] of [
        ['t1', '$a'],
        ['t2', 'delayed'],
      ] as const) {
        tx.run(sql`
          INSERT INTO transactions (user_id, device_id, path, txn_id, event_id, sent_ts)
          VALUES (${key.userId}, ${key.deviceId}, ${key.path}, ${txnId}, ${id}, 99)
        `)
      }
    })
    await before.close()
    const db = await open(programMigrations)
    const common = { status: 0, depth: 3, state_before: 1, state_after: 2, state_key_nid: 6 }
    const found = await eventRows(db, 4, ['$a', '$b'])
    assert.deepEqual(
      found
        .sort((a, b) => a.event_nid - b.event_nid)
        .map((row) => ({ ...row, bytes: [...row.bytes] })),
      [
        {
          ...common,
          event_nid: 1,
          event_id: '$a',
          stream: 7,
          sub: 0,
          number: 1,
          redacted_by: null,
          bytes: [1, 8],
          checksum: 55,
          gap_before: 0,
        },
        {
          ...common,
          event_nid: 2,
          event_id: '$b',
          stream: null,
          sub: null,
          number: 2,
          redacted_by: '$c',
          bytes: [2, 8],
          checksum: 55,
          gap_before: 0,
        },
      ],
    )
    assert.equal((await eventRows(db, 5, ['$a']))[0]?.checksum, null)
    assert.equal(await roomOfEvent(db, '$b'), '!r:h')
    assert.equal(await idOfTransaction(db, { ...key, txnId: 't2' }), 'delayed')
    assert.deepEqual(await transactionIdsOf(db, key, [7, 9]), new Map([['$a', 't1']]))
    await db.close()
  })
}
