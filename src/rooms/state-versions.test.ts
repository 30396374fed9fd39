import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { statePairsOf } from '#protocol/state-resolution/state-pairs.ts'
import { openSqlite } from '#storage/sqlite.ts'
import { StateVersions } from './state-versions.ts'

test('versions are what they were made, read back from their log', async () => {
  const step = fc.record({
    key: fc.integer({ min: 0, max: 40 }),
    event: fc.integer({ min: 0, max: 1000 }),
    from: fc.nat(),
    dropped: fc.boolean(),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const db = await openSqlite({})
      const versions = await StateVersions.open(db, 1)
      const made: { version: number; state: Map<number, number> }[] = [
        { version: 0, state: new Map() },
      ]
      for (const { key, event, from, dropped } of steps) {
        const base = made[from % made.length]
        assert.ok(base)
        const state = new Map(base.state)
        if (dropped) state.delete(key)
        else state.set(key, event)
        const version = dropped
          ? await versions.withPairs([base.version], statePairsOf(state))
          : await versions.withChange(base.version, { key, event })
        made.push({ version, state })
      }
      const written = await db.write((tx) => versions.write(tx))
      versions.committed(written)
      const reopened = await StateVersions.open(db, 1)
      for (const { version, state } of made) {
        assert.deepEqual(await reopened.pairs(version), statePairsOf(state))
        assert.deepEqual(await versions.pairs(version), statePairsOf(state))
      }
      await db.close()
    }),
    { numRuns: 60 },
  )
})

test('a room whose state grows to 3,000 entries stores fewer than three entries for each change', async () => {
  const db = await openSqlite({})
  const versions = await StateVersions.open(db, 1)
  let version = 0
  const changes = 10_000
  for (let change = 0; change < changes; change += 1) {
    version = await versions.withChange(version, { key: change % 3000, event: change })
  }
  await db.write((tx) => versions.write(tx))
  const { sqliteBytes } = (
    await db.all<{ sqliteBytes: number }>({
      texts: ['SELECT SUM(LENGTH(pairs)) AS "sqliteBytes" FROM state_versions'],
      values: [],
    })
  )[0] ?? { sqliteBytes: 0 }
  assert.ok(sqliteBytes / 8 / changes < 3, `${sqliteBytes / 8 / changes} entries a change`)
  await db.close()
})
