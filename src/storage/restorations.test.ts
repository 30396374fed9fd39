import assert from 'node:assert/strict'
import { seededRandom } from '#io/simulated/simulated-random.ts'
import { forEachDatabase } from '../../test/databases.ts'
import type { Database } from './database.ts'
import { sql } from './database.ts'
import { beginAnewOnCopy, markAsCopy, restorationBase } from './restorations.ts'
import { openStreams } from './streams.ts'

const beginAt = (db: Database, now: number) =>
  beginAnewOnCopy(db, { clock: { now: () => now }, random: seededRandom(now) })
const mark = (db: Database) => db.write((tx) => markAsCopy(tx, 1))

forEachDatabase('what is no copy goes on as it is', async (db) => {
  assert.equal(await beginAt(db, 1_800_000_000_000), false)
  assert.equal(await restorationBase(db), 0)
  const streams = await openStreams(db)
  assert.equal(streams.base, 0)
})

forEachDatabase('a copy goes on above all positions of before, and only once', async (db) => {
  const before = await openStreams(db)
  const last = before.take()
  await mark(db)
  await mark(db)
  assert.equal(await beginAt(db, 1_800_000_000_000), true)
  assert.equal(await beginAt(db, 1_800_000_000_000), false)
  const after = await openStreams(db)
  // A year of a million positions an hour, which is more than is reserved.
  assert.ok(after.take() > last + 365 * 24 * 1_000_000)
  assert.ok(after.base > last && after.base < after.settled())
  assert.ok(after.take() < 1e15, 'a token holds 15 digits')
})

forEachDatabase(
  'the same copy that is put back later goes on above what came after',
  async (db) => {
    const { reserved = 0 } =
      (await db.first<{ reserved: number }>(sql`SELECT reserved FROM stream WHERE id = 1`)) ?? {}
    await mark(db)
    await beginAt(db, 1_800_000_000_000)
    const first = (await openStreams(db)).take()
    // As the copy was, a day later.
    await db.write((tx) => {
      tx.run(sql`DELETE FROM restorations WHERE base > 0`)
      tx.run(sql`UPDATE stream SET reserved = ${reserved} WHERE id = 1`)
      tx.run(sql`DELETE FROM device_list_updates WHERE stream > 0`)
      markAsCopy(tx, 1)
    })
    await beginAt(db, 1_800_000_000_000 + 86_400_000)
    assert.ok((await openStreams(db)).take() > first + 86_400 * 10_000)
  },
)
