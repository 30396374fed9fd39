import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { temporaryFolder } from '../../test/databases.ts'
import { DatabaseFailed, DatabaseRefused, sql, UnitFailed } from './database.ts'
import { migration } from './migrate.ts'
import { openSqlite } from './sqlite.ts'
import { backupSqlite, problemsOfSqlite } from './sqlite-files.ts'
import { openSqliteWorker } from './sqlite-worker.ts'

const migrations = [
  migration(
    '0001-things.sql',
    'CREATE TABLE things (name TEXT NOT NULL PRIMARY KEY, body BYTES) WITHOUT_ROWID;',
  ),
]

const thing = (name: string, body: Uint8Array | null = null) =>
  sql`INSERT INTO things (name, body) VALUES (${name}, ${body})`

async function open(t: TestContext, path = join(temporaryFolder(t), 'a.db')) {
  const fatal: DatabaseFailed[] = []
  const db = await openSqliteWorker({
    path,
    migrations,
    lockWaitMs: 50,
    onFatal: (error) => fatal.push(error),
  })
  t.after(() => db.close())
  return { db, path, fatal }
}

test('a file has one writer, and is as it was when it is opened again', async (t) => {
  const { db, path } = await open(t)
  await assert.rejects(open(t, path), DatabaseRefused)
  const pool = new Uint8Array(1000).fill(7)
  await db.write((tx) => tx.run(thing('a', pool.subarray(10, 12))))
  await db.close()

  const { db: again } = await open(t, path)
  assert.deepEqual(await again.all(sql`SELECT * FROM things`), [
    { name: 'a', body: Uint8Array.of(7, 7) },
  ])
})

test('a database of a newer program is refused', async (t) => {
  const path = join(temporaryFolder(t), 'a.db')
  const newer = [...migrations, migration('0002-more.sql', 'CREATE TABLE more (a TEXT);')]
  await (await openSqlite({ path, migrations: newer })).close()
  await assert.rejects(open(t, path), DatabaseRefused)
})

test('a command writes beside a server, but does not migrate under it', async (t) => {
  const { db, path } = await open(t)
  const beside = await openSqlite({ path, migrations })
  await Promise.all([
    beside.write((tx) => tx.run(thing('beside'))),
    db.write((tx) => tx.run(thing('server'))),
  ])
  assert.equal((await db.all(sql`SELECT name FROM things`)).length, 2)
  await beside.close()
  const newer = [...migrations, migration('0002-more.sql', 'CREATE TABLE more (a TEXT);')]
  await assert.rejects(openSqlite({ path, migrations: newer }), /older version/)
})

test('when the writer fails, everybody who waits is told, and the process', async (t) => {
  const { db, fatal } = await open(t)
  await db.write((tx) => tx.run(thing('kept')))
  // Whatever ends the transaction under the writer's feet is as good as a broken disk.
  const outcomes = await Promise.allSettled([
    db.write((tx) => tx.run(sql`ROLLBACK`)),
    db.write((tx) => tx.returning(sql`SELECT 1`)),
  ])
  for (const outcome of outcomes) {
    assert.ok(outcome.status === 'rejected' && outcome.reason instanceof DatabaseFailed)
  }
  await assert.rejects(
    db.write((tx) => tx.run(thing('late'))),
    DatabaseFailed,
  )
  assert.equal(fatal.length, 1)
  assert.deepEqual(await db.all(sql`SELECT name FROM things`), [{ name: 'kept' }])
})

test('a full disk fails what does not fit, and nothing else', async (t) => {
  const { db, path, fatal } = await open(t)
  await db.write((tx) => tx.returning(sql`PRAGMA max_page_count = 20`))
  const outcomes = await Promise.allSettled([
    db.write((tx) => tx.run(thing('small'))),
    db.write((tx) => tx.run(thing('large', new Uint8Array(200_000)))),
  ])
  assert.deepEqual(
    outcomes.map(
      (outcome) => outcome.status === 'rejected' && outcome.reason instanceof UnitFailed,
    ),
    [false, true],
  )
  await db.write((tx) => tx.run(thing('later')))
  assert.equal((await db.all(sql`SELECT name FROM things`)).length, 2)
  assert.deepEqual(fatal, [])
  await db.close()
  assert.deepEqual(problemsOfSqlite(path, migrations), [])
})

test('a backup holds what was committed; damage is found', async (t) => {
  const { db, path } = await open(t)
  await db.write((tx) => {
    for (let n = 0; n < 500; n += 1) tx.run(thing(`${n}`, new Uint8Array(500)))
  })
  const copy = `${path}.copy`
  await backupSqlite(path, copy)
  await db.write((tx) => tx.run(thing('later')))
  assert.deepEqual(problemsOfSqlite(copy, migrations), [])
  const { db: copied } = await open(t, copy)
  assert.deepEqual(await copied.all(sql`SELECT COUNT(*) AS count FROM things`), [{ count: 500 }])
  await copied.close()

  writeFileSync(copy, new Uint8Array(8192).fill(9), { flag: 'r+' })
  assert.notDeepEqual(problemsOfSqlite(copy, migrations), [])
  assert.match(problemsOfSqlite(path, []).join(), /does not know/)
})
