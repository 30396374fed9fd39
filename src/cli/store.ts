/**
 * The database that a configuration names.
 *
 * @module
 */

import { join } from 'node:path'
import type { Config } from '#config/settings.ts'
import { realFiles } from '#io/real-files.ts'
import type { Database } from '#storage/database.ts'
import { openSqlite } from '#storage/sqlite.ts'

/** Opens the database for a command: work on it is done on this thread. */
export async function openStore(config: Config): Promise<Database> {
  await realFiles.makeFolder(config.data_dir)
  return await openSqlite({ path: sqlitePath(config) })
}

export function sqlitePath(config: Config): string {
  return config.database.path ?? join(config.data_dir, 'hansa.db')
}
