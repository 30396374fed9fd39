/**
 * `hansa backup` copies the database of a server, which may run; `hansa restore` puts such a copy back, or
 * says of a database that was put back by other means that it was. A server that starts on it knows then
 * that clients and other servers know of more than is in it (`storage/restorations.ts`).
 *
 * @module
 */

import type { Config } from '#config/settings.ts'
import { realClock } from '#io/real-clock.ts'
import { realFiles } from '#io/real-files.ts'
import { markAsCopy } from '#storage/restorations.ts'
import { openSqlite } from '#storage/sqlite.ts'
import { backupSqlite, carryLogOver, problemsOfSqlite, withoutLog } from '#storage/sqlite-files.ts'
import { lockSqlite } from '#storage/sqlite-lock.ts'
import { readConfig } from './config.ts'
import { openIdleStore, sqlitePath } from './store.ts'

interface Options {
  readonly config: string
}

export async function makeBackup(target: string, options: Options): Promise<void> {
  const config = await readConfig(options.config)
  if (config.database.type === 'postgres') {
    throw new Error(
      'PostgreSQL is copied by its own tools (pg_dump). When you have put a copy back, say so: hansa restore.',
    )
  }
  if (await isThere(target)) throw new Error(`${target} is there already.`)
  await copyMarked(sqlitePath(config), target)
  console.log(`${target} is a copy of the database. The folder media is to be copied after it.`)
}

export async function restoreBackup(
  file: string | undefined,
  options: Options & { readonly replace: boolean },
): Promise<void> {
  const config = await readConfig(options.config)
  if (file === undefined) await markStore(config)
  else await putBack(config, file, options)
  console.log('The next start begins anew where others may know of more than is in the database.')
}

async function markStore(config: Config): Promise<void> {
  const db = await openIdleStore(config)
  try {
    await db.write((tx) => markAsCopy(tx, realClock.now()))
  } finally {
    await db.close()
  }
}

async function putBack(
  config: Config,
  file: string,
  { replace }: { readonly replace: boolean },
): Promise<void> {
  if (config.database.type === 'postgres') {
    throw new Error(
      'Put the copy back by the tools of PostgreSQL, then: hansa restore, without a file.',
    )
  }
  if (!(await isThere(file))) throw new Error(`There is no file ${file}.`)
  const [problem] = problemsOfSqlite(file)
  if (problem !== undefined) throw new Error(`${file} is no sound database: ${problem}`)
  const path = sqlitePath(config)
  const hasOne = await isThere(path)
  if (hasOne && !replace) {
    throw new Error(`${path} is there. With --replace it is lost.`)
  }
  await realFiles.makeFolder(config.data_dir)
  const lock = lockSqlite(path, 0)
  if (lock === undefined) throw new Error('A server uses the store. End that server first.')
  try {
    if (hasOne) carryLogOver(path)
    await copyMarked(file, path)
  } finally {
    lock.close()
  }
}

/** Puts a copy in its place whole, or not at all. What was there is replaced, with its log. */
async function copyMarked(source: string, target: string): Promise<void> {
  const fresh = `${target}.new`
  await removeDatabase(fresh)
  await backupSqlite(source, fresh)
  const db = await openSqlite({ path: fresh })
  await db.write((tx) => markAsCopy(tx, realClock.now()))
  await db.close()
  withoutLog(fresh)
  // A log is of the database beside which it was written. What was there before has all that was in it.
  for (const rest of ['-wal', '-shm']) await realFiles.remove(`${target}${rest}`)
  await realFiles.rename(fresh, target)
  await removeDatabase(fresh)
}

async function removeDatabase(path: string): Promise<void> {
  for (const rest of ['', '-wal', '-shm', '.lock']) await realFiles.remove(`${path}${rest}`)
}

async function isThere(path: string): Promise<boolean> {
  return (await realFiles.open(path)) !== undefined
}
