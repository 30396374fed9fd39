/**
 * The database that a configuration names.
 *
 * @module
 */

import { join } from 'node:path'
import type { Config } from '#config/settings.ts'
import { loadSigningKey } from '#federation/signing-key.ts'
import { realClock } from '#io/real-clock.ts'
import { realFiles } from '#io/real-files.ts'
import { realRandom } from '#io/real-random.ts'
import type { Signer } from '#rooms/remote-servers.ts'
import type { Database } from '#storage/database.ts'
import { openSqlite } from '#storage/sqlite.ts'
import { problemsOfSqlite } from '#storage/sqlite-files.ts'
import { lockSqlite } from '#storage/sqlite-lock.ts'
import { openSqliteWorker } from '#storage/sqlite-worker.ts'

/**
 * Opens the database for a server. `onFatal` is told once if nothing can be written any more.
 * `failpoint` is one that SQLite's commits are to pass.
 */
export async function openServerStore(
  config: Config,
  onFatal: (error: Error) => void,
  failpoint?: string | undefined,
): Promise<Database> {
  if (config.database.type === 'postgres') return await openPostgresOf(config, onFatal)
  return await openSqliteWorker({ path: sqlitePath(config), onFatal, failpoint })
}

/**
 * Opens the database for a command, whose work is done on this thread, beside a server that uses it
 * if there is one.
 */
export async function openStore(config: Config): Promise<Database> {
  await realFiles.makeFolder(config.data_dir)
  const onFatal = (error: Error) => {
    throw error
  }
  if (config.database.type === 'postgres') {
    return await openPostgresOf(config, onFatal, { mayShare: true })
  }
  return await openSqlite({ path: sqlitePath(config) })
}

/** Opens the database for a command that wants it for itself. Throws if a server uses it. */
export async function openIdleStore(config: Config): Promise<Database> {
  const onFatal = (error: Error) => {
    throw error
  }
  if (config.database.type === 'postgres') return await openPostgresOf(config, onFatal)
  const path = sqlitePath(config)
  const lock = lockSqlite(path, 0)
  if (lock === undefined) throw new Error('A server uses the store. End that server first.')
  lock.close()
  return await openSqlite({ path })
}

/** What is wrong with the file of the database, a sentence each; `undefined` if there is no file. */
export async function sqliteProblems(config: Config): Promise<string[] | undefined> {
  if (config.database.type === 'postgres') return []
  const path = sqlitePath(config)
  return (await realFiles.open(path)) === undefined ? undefined : problemsOfSqlite(path)
}

/** The key of the server; `undefined` if it has never been started. Commands make none. */
export async function ownSigner(config: Config): Promise<Signer | undefined> {
  const path = join(config.data_dir, 'signing.key')
  if ((await realFiles.readText(path)) === undefined) return undefined
  return await loadSigningKey(config.server_name, path, { files: realFiles, random: realRandom })
}

async function openPostgresOf(
  config: Config,
  onFatal: (error: Error) => void,
  options: { readonly mayShare?: boolean } = {},
): Promise<Database> {
  // Who uses SQLite need not hold the driver in memory.
  const { openPostgres } = await import('#storage/postgres.ts')
  return await openPostgres({
    url: config.database.url ?? '',
    clock: realClock,
    onFatal,
    ...options,
  })
}

export function sqlitePath(config: Config): string {
  return config.database.path ?? join(config.data_dir, 'hansa.db')
}
