/**
 * The same test on every database Hansa runs on: SQLite in memory, SQLite in a file with its writer
 * thread, and PostgreSQL.
 *
 * @module
 */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Client } from 'pg'
import { realClock } from '#io/real-clock.ts'
import type { Database } from '#storage/database.ts'
import type { Migration } from '#storage/migrate.ts'
import { openPostgres } from '#storage/postgres.ts'
import { memoryImage, openSqlite } from '#storage/sqlite.ts'
import { openSqliteWorker } from '#storage/sqlite-worker.ts'
import { postgresBinaries, postgresUrl } from './postgres-cluster.ts'

export interface DatabaseKind {
  readonly name: 'sqlite in memory' | 'sqlite worker' | 'postgres'
  /** Opens an empty database that is gone after the test. */
  open(t: TestContext, options?: OpenOptions): Promise<Database>
}

interface OpenOptions {
  readonly migrations?: readonly Migration[]
}

/** Runs a test once on each database, each time on an empty one with the program's tables. */
export function forEachDatabase(
  name: string,
  body: (db: Database, t: TestContext) => Promise<void>,
  options: OpenOptions = {},
): void {
  for (const kind of databaseKinds) {
    test(`${name} (${kind.name})`, { skip: reasonToSkip(kind) }, async (t) => {
      const db = await kind.open(t, options)
      try {
        await body(db, t)
      } finally {
        await db.close()
      }
    })
  }
}

export const databaseKinds: readonly DatabaseKind[] = [
  { name: 'sqlite in memory', open: (_, options) => openSqlite({ path: ':memory:', ...options }) },
  {
    name: 'sqlite worker',
    open: (t, options) =>
      openSqliteWorker({ path: join(temporaryFolder(t), 'hansa.db'), onFatal, ...options }),
  },
  {
    name: 'postgres',
    open: async (_, options) => {
      const url = await postgresUrl()
      const schema = await emptySchema(url)
      return openPostgres({ url, schema, clock: realClock, onFatal, ...options })
    },
  },
]

/**
 * A database that a test opens, and opens again as after a restart. It is one in memory, unless
 * `HANSA_TEST_DATABASE=postgres` asks the whole run to use PostgreSQL (`npm run unit:postgres`).
 */
export interface TestDisk {
  open(): Promise<Database>
}

export function testDisk(): TestDisk {
  if (process.env.HANSA_TEST_DATABASE !== 'postgres') {
    const image = memoryImage()
    return { open: () => openSqlite({ image }) }
  }
  let schema: string | undefined
  let opened: Database | undefined
  return {
    open: async () => {
      const url = await postgresUrl()
      schema ??= await emptySchema(url)
      await opened?.close()
      opened = await openPostgres({ url, schema, clock: realClock, onFatal })
      return opened
    },
  }
}

/** Why a kind cannot be tested here, if so. In CI everything must be there. */
export function reasonToSkip({ name }: DatabaseKind): string | false {
  if (name !== 'postgres' || process.env.CI === 'true') return false
  return postgresBinaries() === undefined && 'no PostgreSQL is installed here'
}

/** A folder that is removed after the test. */
export function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'hansa-test-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

let schemaCount = 0

/** Makes a schema of the run's PostgreSQL that nobody else uses. */
export async function emptySchema(url: string): Promise<string> {
  schemaCount += 1
  const name = `test_${process.pid}_${schemaCount}`
  const client = new Client(url)
  await client.connect()
  await client.query(`CREATE SCHEMA ${name}`)
  await client.end()
  return name
}

function onFatal(error: Error): never {
  throw error
}
