import assert from 'node:assert/strict'
import { copyFileSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { DatabaseRefused, sql } from './database.ts'
import { type Migration, migration, programMigrations } from './migrate.ts'
import { memoryImage, openSqlite } from './sqlite.ts'
import { backupSqlite, problemsOfSqlite } from './sqlite-files.ts'

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

test('a migration that writes all anew writes it once, unless another reads the file', async (t) => {
  const count = 1000
  const text = 'x'.repeat(2000)
  const anew = migration(
    '0002-anew.sql',
    `CREATE TABLE others (name TEXT NOT NULL, size BIGINT NOT NULL);
     INSERT INTO others (name, size) SELECT name, size FROM things;
     DROP TABLE things;
     ALTER TABLE others RENAME TO things;`,
  )
  for (const isRead of [false, true]) {
    const folder = mkdtempSync(join(tmpdir(), 'hansa-migrating-'))
    t.after(() => rmSync(folder, { recursive: true }))
    const path = join(folder, 'hansa.db')
    const before = await openSqlite({ path, migrations })
    await before.write((tx) => {
      for (let size = 0; size < count; size += 1) tx.run(thing(text + size, size))
    })
    await before.close()
    const reader = isRead ? new DatabaseSync(path, { readOnly: true }) : undefined
    reader?.exec('BEGIN; SELECT COUNT(*) FROM things')

    const after = await openSqlite({ path, migrations: [...migrations, anew] })
    const logBytes = statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0
    assert.equal(logBytes > count * text.length, isRead, `${logBytes} bytes of the log`)
    const [mode] = await after.all(sql`SELECT journal_mode FROM pragma_journal_mode`)
    assert.deepEqual(mode, { journal_mode: 'wal' })
    const [sum] = await after.all(sql`SELECT COUNT(*) AS count, MAX(name) AS last FROM things`)
    assert.deepEqual(sum, { count, last: `${text}${count - 1}` })
    await after.close()
    reader?.close()
  }
})

test('a file whose migration was cut short is sound, and can be copied', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'hansa-migrating-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'hansa.db')
  const before = await openSqlite({ path, migrations })
  await before.write((tx) => {
    for (let size = 0; size < 100; size += 1) tx.run(thing('x'.repeat(2000) + size, size))
  })
  await before.close()
  // A migration that has got as far as to the file; a copy of it is what a crash leaves.
  const db = new DatabaseSync(path)
  db.exec(
    `PRAGMA journal_mode = TRUNCATE; PRAGMA cache_size = 1; BEGIN; UPDATE things SET size = 7`,
  )
  for (const left of ['checked', 'copied']) {
    copyFileSync(path, join(folder, `${left}.db`))
    copyFileSync(`${path}-journal`, join(folder, `${left}.db-journal`))
  }
  db.close()
  assert.deepEqual(problemsOfSqlite(join(folder, 'checked.db'), migrations), [])
  await backupSqlite(join(folder, 'copied.db'), join(folder, 'copy.db'))
  for (const left of ['checked', 'copy']) {
    const after = await openSqlite({ path: join(folder, `${left}.db`), migrations })
    const [sum] = await after.all(sql`SELECT COUNT(*) AS count, MAX(size) AS last FROM things`)
    assert.deepEqual(sum, { count: 100, last: 99 })
    await after.close()
  }
})

test('the program’s own migrations apply, and no two have one number', async () => {
  await (await openSqlite({ path: ':memory:' })).close()
  const numbers = programMigrations.map(({ name }) => name.slice(0, 4))
  assert.deepEqual(numbers, [...new Set(numbers)])
})
