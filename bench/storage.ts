/**
 * How fast units are committed durably: one row a unit and fifty rows a unit, from many callers who
 * each wait for their last unit, and reads beside it. Rows are of an event's size.
 *
 * `node bench/storage.ts [folder]`: the folder decides which disk is measured.
 *
 * @module
 */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { realClock } from '#io/real-clock.ts'
import { type Database, sql } from '#storage/database.ts'
import { migration } from '#storage/migrate.ts'
import { openPostgres } from '#storage/postgres.ts'
import { openSqlite } from '#storage/sqlite.ts'
import { openSqliteWorker } from '#storage/sqlite-worker.ts'
import { postgresBinaries, postgresUrl } from '../test/postgres-cluster.ts'

const migrations = [
  migration(
    '0001-bench.sql',
    'CREATE TABLE bench (id INTEGER_ID PRIMARY KEY, name TEXT NOT NULL, body BYTES NOT NULL);',
  ),
]

const body = new Uint8Array(900).fill(120)
let lastId = 0

const insert = () => {
  lastId += 1
  return sql`INSERT INTO bench (id, name, body) VALUES (${lastId}, ${`$event${lastId}`}, ${body})`
}

async function unitsPerSecond(
  db: Database,
  { callers, rows, seconds }: { callers: number; rows: number; seconds: number },
): Promise<number> {
  const end = performance.now() + seconds * 1000
  let units = 0
  const call = async () => {
    while (performance.now() < end) {
      await db.write((tx) => {
        for (let row = 0; row < rows; row += 1) tx.run(insert())
      })
      units += 1
    }
  }
  const start = performance.now()
  await Promise.all(Array.from({ length: callers }, call))
  return units / ((performance.now() - start) / 1000)
}

async function readsPerSecond(db: Database, callers: number, seconds: number): Promise<number> {
  const end = performance.now() + seconds * 1000
  let reads = 0
  const call = async () => {
    while (performance.now() < end) {
      for (let batch = 0; batch < 20; batch += 1) {
        const id = 1 + ((reads * 7919) % lastId)
        await db.first(sql`SELECT name, body FROM bench WHERE id = ${id}`)
        reads += 1
      }
    }
  }
  const start = performance.now()
  await Promise.all(Array.from({ length: callers }, call))
  return reads / ((performance.now() - start) / 1000)
}

async function measure(name: string, db: Database) {
  const seconds = 2
  await unitsPerSecond(db, { callers: 16, rows: 10, seconds: 0.5 })
  const alone = await unitsPerSecond(db, { callers: 1, rows: 1, seconds })
  const single = await unitsPerSecond(db, { callers: 64, rows: 1, seconds })
  const fifty = await unitsPerSecond(db, { callers: 16, rows: 50, seconds })
  const reads = await readsPerSecond(db, 64, seconds)
  await db.close()
  const show = (value: number) => Math.round(value).toLocaleString('en').padStart(12)
  console.log(`${name.padEnd(22)}${show(alone)}${show(single)}${show(fifty * 50)}${show(reads)}`)
}

const folder = await mkdtemp(join(process.argv[2] ?? tmpdir(), 'hansa-bench-'))
const columns = ['1 caller', '64 callers', '50 a unit', 'reads']
console.log(`${'per second'.padEnd(22)}${columns.map((column) => column.padStart(12)).join('')}`)
const onFatal = (error: Error) => {
  throw error
}
await measure('sqlite in memory', await openSqlite({ path: ':memory:', migrations }))
await measure('sqlite in process', await openSqlite({ path: join(folder, 'a.db'), migrations }))
await measure(
  'sqlite worker',
  await openSqliteWorker({ path: join(folder, 'b.db'), migrations, onFatal }),
)
if (postgresBinaries() !== undefined) {
  const url = await postgresUrl()
  await measure('postgres', await openPostgres({ url, clock: realClock, migrations, onFatal }))
}
await rm(folder, { recursive: true })
