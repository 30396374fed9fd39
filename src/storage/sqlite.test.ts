import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DatabaseRefused, sql } from './database.ts'
import { type Migration, migration, programMigrations } from './migrate.ts'
import { memoryImage, openSqlite } from './sqlite.ts'

const migrations = [
  migration(
    '0001-things.sql',
    `-- Things; with a comment.
     CREATE TABLE things (name TEXT NOT NULL PRIMARY KEY, size BIGINT NOT NULL, body BYTES) WITHOUT_ROWID;
     CREATE INDEX things_by_size ON things (size);
     CREATE TABLE numbered (id AUTO_ID, weight REAL, thing TEXT REFERENCES things (name));`,
  ),
]

const thing = (name: string, size = 0) =>
  sql`INSERT INTO things (name, size) VALUES (${name}, ${size})`

test('a crash loses what is not committed and nothing else', async () => {
  const image = memoryImage()
  const due: (() => void)[] = []
  const db = await openSqlite({ image, migrations, schedule: (act) => due.push(act) })
  const kept = db.write((tx) => tx.run(thing('kept')))
  due.shift()?.()
  await kept
  let settled = false
  void db
    .write((tx) => tx.run(thing('lost')))
    .finally(() => {
      settled = true
    })
  db.crash()
  for (const act of due) act()

  const reopened = await openSqlite({ image, migrations })
  assert.deepEqual(await reopened.all(sql`SELECT name FROM things`), [{ name: 'kept' }])
  assert.equal(settled, false)
})

test('migrations', async (t) => {
  const image = memoryImage()
  const reopen = (known: readonly Migration[]) => openSqlite({ image, migrations: known })
  await reopen(migrations)
  const more = migration('0002-more.sql', 'CREATE TABLE more (id INTEGER_ID PRIMARY KEY);')

  await t.test('only those the database has not had are applied', async () => {
    const db = await reopen([...migrations, more])
    assert.deepEqual(await db.all(sql`SELECT * FROM more`), [])
  })
  await t.test('a database of a newer program is refused', async () => {
    await assert.rejects(reopen(migrations), DatabaseRefused)
  })
  await t.test('a changed one is refused', async () => {
    const changed = migration(more.name, `${more.text} -- changed`)
    await assert.rejects(reopen([...migrations, changed]), DatabaseRefused)
  })
  await t.test('one that fails leaves nothing', async () => {
    const broken = migration('0003-broken.sql', 'CREATE TABLE half (a TEXT);\nCREATE TABL x;')
    await assert.rejects(reopen([...migrations, more, broken]), /0003-broken.sql failed/)
    const db = await reopen([...migrations, more])
    await assert.rejects(db.all(sql`SELECT * FROM half`), /no such table/)
  })
})

test('the program’s own migrations apply, and no two have one number', async () => {
  await (await openSqlite({ path: ':memory:' })).close()
  const numbers = programMigrations.map(({ name }) => name.slice(0, 4))
  assert.deepEqual(numbers, [...new Set(numbers)])
})
