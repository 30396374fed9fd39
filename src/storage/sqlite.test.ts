import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bytes, DatabaseRefused, integers, sql, texts, UnitFailed } from './database.ts'
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

const open = () => openSqlite({ path: ':memory:', migrations })
const thing = (name: string, size = 0) =>
  sql`INSERT INTO things (name, size) VALUES (${name}, ${size})`

test('what is written is read back as it was', async () => {
  const db = await open()
  const body = Uint8Array.of(0, 1, 255)
  await db.write((tx) =>
    tx.run(sql`INSERT INTO things (name, size, body) VALUES (${'a\0b'}, ${2 ** 53 - 1}, ${body})`),
  )
  assert.deepEqual(await db.all(sql`SELECT * FROM things`), [
    { name: 'a\0b', size: 2 ** 53 - 1, body },
  ])
  assert.equal(await db.first(sql`SELECT * FROM things WHERE name = ${'a'}`), undefined)
  await db.close()
})

test('lists and fragments', async () => {
  const db = await open()
  await db.write((tx) => {
    for (const size of [1, 2, 3]) tx.run(thing(`t${size}`, size))
    tx.run(sql`UPDATE things SET body = ${Uint8Array.of(7)} WHERE size = 3`)
  })
  const names = async (where: ReturnType<typeof sql>) =>
    (await db.all<{ name: string }>(sql`SELECT name FROM things WHERE ${where} ORDER BY name`)).map(
      ({ name }) => name,
    )
  assert.deepEqual(await names(sql`name IN ${texts(['t1', 't3', 'x'])}`), ['t1', 't3'])
  assert.deepEqual(await names(sql`name IN ${texts([])}`), [])
  assert.deepEqual(await names(sql`size IN ${integers([2])} AND size < ${3}`), ['t2'])
  assert.deepEqual(await names(sql`body IN ${bytes([Uint8Array.of(7)])}`), ['t3'])
  await db.close()
})

test('a unit that fails takes nothing else with it', async () => {
  const db = await open()
  const outcomes = await Promise.allSettled([
    db.write((tx) => tx.run(thing('first'))),
    db.write((tx) => {
      tx.run(thing('undone'))
      tx.run(thing('first'))
    }),
    db.write((tx) => {
      tx.run(thing('undone'))
      tx.expect(sql`UPDATE things SET size = 1 WHERE name = 'nobody'`, 'nobody is not there')
    }),
    db.write((tx) => tx.run(sql`INSERT INTO nowhere VALUES (1)`)),
    db.write((tx) =>
      tx.returning<{ size: number }>(sql`UPDATE things SET size = 5 RETURNING size`),
    ),
  ])
  const failures = outcomes.map((outcome) =>
    outcome.status === 'rejected' && outcome.reason instanceof UnitFailed
      ? [outcome.reason.kind, outcome.reason.message]
      : outcome,
  )
  assert.deepEqual(failures, [
    { status: 'fulfilled', value: undefined },
    ['unique', 'UNIQUE constraint failed: things.name'],
    ['expectation', 'nobody is not there'],
    ['other', 'no such table: nowhere'],
    { status: 'fulfilled', value: [{ size: 5 }] },
  ])
  assert.deepEqual(await db.all(sql`SELECT name, size FROM things`), [{ name: 'first', size: 5 }])
  await db.close()
})

test('a database is not for writing while reading, nor for another type', async () => {
  const db = await open()
  await assert.rejects(db.all(sql`DELETE FROM things`), /Not a statement for reading/)
  await assert.rejects(
    db.write((tx) => tx.run(sql`INSERT INTO things VALUES ('a', 'b', NULL)`)),
    /cannot store TEXT/,
  )
  await assert.rejects(
    db.write((tx) => tx.run(sql`INSERT INTO numbered (thing) VALUES ('none')`)),
    /FOREIGN KEY/,
  )
  assert.throws(() => sql`SELECT ${Number.NaN}`)
  assert.throws(() => sql`SELECT ${undefined as unknown as null}`)
  await db.close()
})

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

test('close commits what was asked for', async () => {
  const image = memoryImage()
  const db = await openSqlite({ image, migrations })
  const written = db.write((tx) => tx.run(thing('kept')))
  await db.close()
  await written
  await assert.rejects(
    db.write((tx) => tx.run(thing('late'))),
    /closed/,
  )
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
