/** What every database behind the seam does alike. */

import assert from 'node:assert/strict'
import { forEachDatabase as forEach } from '../../test/databases.ts'
import { bytes, type Database, integers, sql, texts, UnitFailed } from './database.ts'
import { migration } from './migrate.ts'

const migrations = [
  migration(
    '0001-things.sql',
    `-- Things; with a comment.
     CREATE TABLE things (name TEXT NOT NULL PRIMARY KEY, size BIGINT NOT NULL, body BYTES) WITHOUT_ROWID;
     CREATE INDEX things_by_size ON things (size);
     CREATE TABLE numbered (id AUTO_ID, weight REAL, thing TEXT REFERENCES things (name));`,
  ),
]

const forEachDatabase = (name: string, body: (db: Database) => Promise<void>) =>
  forEach(name, body, { migrations })

const thing = (name: string, size = 0) =>
  sql`INSERT INTO things (name, size) VALUES (${name}, ${size})`

forEachDatabase('what is written is read back as it was', async (db) => {
  const body = Uint8Array.of(0, 1, 255)
  await db.write((tx) =>
    tx.run(sql`INSERT INTO things (name, size, body) VALUES (${'a\0b'}, ${2 ** 53 - 1}, ${body})`),
  )
  assert.deepEqual(await db.all(sql`SELECT * FROM things`), [
    { name: 'a\0b', size: 2 ** 53 - 1, body },
  ])
  assert.equal(await db.first(sql`SELECT * FROM things WHERE name = ${'a'}`), undefined)
})

forEachDatabase('lists and fragments', async (db) => {
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
})

forEachDatabase('a set of values is made into rows', async (db) => {
  await db.write((tx) => tx.run(thing('one', 1)))
  const added = texts(['a\0', 'é"', 'one'])
  await db.write((tx) =>
    tx.run(sql`
      INSERT INTO things (name, size)
      SELECT added.value, things.size + 1 FROM things CROSS JOIN ${added} AS added
      WHERE things.name = ${'one'}
      ON CONFLICT DO NOTHING
    `),
  )
  assert.deepEqual(await db.all(sql`SELECT name, size FROM things ORDER BY name`), [
    { name: 'a\0', size: 2 },
    { name: 'one', size: 1 },
    { name: 'é"', size: 2 },
  ])
  const body = Uint8Array.of(0, 7)
  const rows = await db.all(sql`
    SELECT n.value AS n, b.value AS b FROM things CROSS JOIN ${integers([2 ** 53 - 1])} AS n
    CROSS JOIN ${bytes([body])} AS b WHERE things.name = ${'one'}
  `)
  assert.deepEqual(rows, [{ n: 2 ** 53 - 1, b: body }])
})

forEachDatabase('a unit that fails takes nothing else with it', async (db) => {
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
      ? outcome.reason.kind
      : outcome,
  )
  assert.deepEqual(failures, [
    { status: 'fulfilled', value: undefined },
    'unique',
    'expectation',
    'other',
    { status: 'fulfilled', value: [{ size: 5 }] },
  ])
  assert.deepEqual(await db.all(sql`SELECT name, size FROM things`), [{ name: 'first', size: 5 }])
})

forEachDatabase('a database is not for writing while reading, nor for another type', async (db) => {
  await assert.rejects(db.all(sql`DELETE FROM things`), /not a statement for reading/)
  await assert.rejects(
    db.write((tx) => tx.run(sql`INSERT INTO things VALUES ('a', 'b', NULL)`)),
    /cannot store TEXT|invalid input syntax for type bigint/,
  )
  await assert.rejects(
    db.write((tx) => tx.run(sql`INSERT INTO numbered (thing) VALUES ('none')`)),
    /foreign key/i,
  )
  assert.throws(() => sql`SELECT ${Number.NaN}`)
  assert.throws(() => sql`SELECT ${undefined as unknown as null}`)
})

forEachDatabase('text is kept and ordered by code point, whatever it holds', async (db) => {
  const names = ['', 'A', 'a', 'a\0', 'a\u{10FFFF}', 'a\u{10FFFF}0', 'b', 'ä', '\uFFFD', '😀']
  await db.write((tx) => {
    for (const name of names) tx.run(thing(name))
  })
  const rows = await db.all<{ name: string }>(sql`SELECT name FROM things ORDER BY name`)
  const stored = rows.map(({ name }) => name)
  assert.deepEqual(new Set(stored), new Set(names))
  const plain = (list: readonly string[]) => list.filter((name) => !/[\0\u{10FFFF}]/u.test(name))
  assert.deepEqual(plain(stored), plain(names))
  const found = await db.all(
    sql`SELECT name FROM things WHERE name IN ${texts(['a\0', 'a\u{10FFFF}0'])}`,
  )
  assert.equal(found.length, 2)
})

forEachDatabase('values of expressions have one type on every database', async (db) => {
  await db.write((tx) => {
    tx.run(thing('a', 2 ** 40))
    tx.run(sql`INSERT INTO numbered (weight) VALUES (${0.25})`)
  })
  assert.deepEqual(
    await db.first(sql`
      SELECT COUNT(*) AS count, CAST(SUM(size) AS BIGINT) AS sum, EXISTS (SELECT 1 FROM things) AS found,
        MAX(size) = 7 AS same, CAST(${5} AS BIGINT) / 2 AS half, ${'x'} AS text
      FROM things`),
    { count: 1, sum: 2 ** 40, found: 1, same: 0, half: 2, text: 'x' },
  )
  assert.deepEqual(await db.all(sql`SELECT id, weight FROM numbered`), [{ id: 1, weight: 0.25 }])
})

forEachDatabase('the usual statements', async (db) => {
  const put = (name: string, size: number) => sql`
    INSERT INTO things (name, size) VALUES (${name}, ${size})
    ON CONFLICT (name) DO UPDATE SET size = things.size + excluded.size RETURNING size`
  const sizes = await db.write((tx) => {
    tx.run(sql`INSERT INTO things (name, size) VALUES ('kept', 1) ON CONFLICT DO NOTHING`)
    const first = tx.returning<{ size: number }>(put('a', 1))
    const second = tx.returning<{ size: number }>(put('a', 2))
    return Promise.all([first, second])
  })
  assert.deepEqual(sizes, [[{ size: 1 }], [{ size: 3 }]])
  const after = { size: 1, name: 'b' }
  assert.deepEqual(
    await db.all(sql`
      SELECT name FROM things WHERE (size, name) > (${after.size}, ${after.name})
      ORDER BY size DESC, name LIMIT ${1} OFFSET ${1}`),
    [{ name: 'kept' }],
  )
  await db.write((tx) =>
    tx.run(sql`
      INSERT INTO things (name, size) SELECT name || 'x', size FROM things WHERE size > ${2}
      ON CONFLICT DO NOTHING`),
  )
  assert.deepEqual(
    await db.all(sql`SELECT name FROM things WHERE name NOT IN ${texts(['kept'])} ORDER BY name`),
    [{ name: 'a' }, { name: 'ax' }],
  )
})

forEachDatabase('a read that starts after a write sees it; units keep their order', async (db) => {
  const write = async (size: number) => {
    await db.write((tx) =>
      tx.run(sql`
      INSERT INTO things (name, size) VALUES ('last', ${size})
      ON CONFLICT (name) DO UPDATE SET size = excluded.size`),
    )
    const row = await db.first<{ size: number }>(sql`SELECT size FROM things WHERE name = 'last'`)
    assert.ok(row !== undefined && row.size >= size)
  }
  await Promise.all(Array.from({ length: 200 }, (_, size) => write(size)))
  assert.deepEqual(await db.all(sql`SELECT size FROM things`), [{ size: 199 }])
})

forEachDatabase('what a unit gives', async (db) => {
  assert.equal(await db.write(() => 5), 5)
  await assert.rejects(
    db.write(() => {
      throw new Error('not collected')
    }),
    /not collected/,
  )
  // All that hangs on a unit fails with it, and nothing is left that nobody hears of.
  const failing = db.write(async (tx) => {
    const rows = tx.returning(sql`INSERT INTO things (name, size) VALUES ('a', 1) RETURNING name`)
    tx.expect(sql`DELETE FROM things WHERE name = 'b'`, 'there is no b')
    return (await rows).length
  })
  await assert.rejects(failing, new UnitFailed('expectation', 'there is no b'))
  assert.deepEqual(await db.all(sql`SELECT * FROM things`), [])
})

forEachDatabase('close commits what was asked for, and ends', async (db) => {
  const written = db.write((tx) => tx.run(thing('kept')))
  await db.close()
  await written
  await assert.rejects(
    db.write((tx) => tx.run(thing('late'))),
    /closed/,
  )
})
