/**
 * A process that is killed at any moment loses nothing it has acknowledged, and leaves no unit in
 * part. The same file goes through all the crashes.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { test } from 'node:test'
import { sql } from '#storage/database.ts'
import { openSqlite } from '#storage/sqlite.ts'
import { problemsOfSqlite } from '#storage/sqlite-files.ts'
import { crashMigrations } from './crash-writer.ts'
import { temporaryFolder } from './databases.ts'

const crashes = 30
const msMax = 9000

test('nothing acknowledged is lost when the process is killed', async (t) => {
  const path = join(temporaryFolder(t), 'crash.db')
  const acknowledged: string[] = []
  const start = performance.now()
  let run = 0
  for (; run < crashes && performance.now() - start < msMax; run += 1) {
    acknowledged.push(...(await linesUntilKilled(path, run)))
  }
  assert.ok(run >= 3 && acknowledged.length > 100, `${run} crashes, ${acknowledged.length} units`)

  const db = await openSqlite({ path, migrations: crashMigrations })
  const rows = await db.all<{ run: number; caller: number; n: number; halves: number }>(sql`
    SELECT run, caller, n, COUNT(*) AS halves FROM pairs GROUP BY run, caller, n`)
  const stored = new Set(rows.map(({ run, caller, n }) => `${run} ${caller} ${n}`))
  assert.deepEqual(
    acknowledged.filter((line) => !stored.has(line)),
    [],
  )
  assert.deepEqual(
    rows.filter(({ halves }) => halves !== 2),
    [],
  )
  await db.close()
  assert.deepEqual(problemsOfSqlite(path, crashMigrations), [])
  t.diagnostic(`${run} crashes, ${acknowledged.length} acknowledged, ${rows.length} stored`)
})

/** The whole lines a writer has said when it is killed, at a moment after its first. */
async function linesUntilKilled(path: string, run: number): Promise<string[]> {
  const writer = spawn(
    process.execPath,
    [join(import.meta.dirname, 'crash-writer.ts'), path, String(run)],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  let said = ''
  writer.stdout.setEncoding('utf8').on('data', (text: string) => {
    if (said === '') setTimeout(() => writer.kill('SIGKILL'), Math.random() * 60)
    said += text
  })
  await once(writer, 'close')
  return said.split('\n').slice(0, -1)
}
