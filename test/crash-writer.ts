/**
 * A process that writes and says what was acknowledged, for `crash.test.ts` to kill: rows are written
 * in pairs, a unit each, by callers who wait for their last unit; each acknowledged one is a line.
 *
 * @module
 */

import { writeSync } from 'node:fs'
import { sql } from '#storage/database.ts'
import { migration } from '#storage/migrate.ts'
import { openSqliteWorker } from '#storage/sqlite-worker.ts'

export const crashMigrations = [
  migration(
    '0001-pairs.sql',
    'CREATE TABLE pairs (run BIGINT, caller BIGINT, n BIGINT, half BIGINT, body BYTES, PRIMARY KEY (run, caller, n, half));',
  ),
]

const callers = 8

async function write(path: string, run: number): Promise<void> {
  const db = await openSqliteWorker({
    path,
    migrations: crashMigrations,
    onFatal: (error) => {
      throw error
    },
  })
  const body = new Uint8Array(700)
  const call = async (caller: number) => {
    for (let n = 0; ; n += 1) {
      await db.write((tx) => {
        for (const half of [1, 2]) {
          tx.run(sql`
            INSERT INTO pairs (run, caller, n, half, body)
            VALUES (${run}, ${caller}, ${n}, ${half}, ${body})`)
        }
      })
      writeSync(1, `${run} ${caller} ${n}\n`)
    }
  }
  await Promise.all(Array.from({ length: callers }, (_, caller) => call(caller)))
}

if (import.meta.main) {
  const [path = '', run = ''] = process.argv.slice(2)
  await write(path, Number(run))
}
