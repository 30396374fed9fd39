/**
 * What is done to an SQLite file beside a server, running or not: looking for damage, and copying
 * it. Both see the file as of one moment and stop nobody from writing.
 *
 * @module
 */

import { backup, DatabaseSync } from 'node:sqlite'
import { DatabaseRefused } from './database.ts'
import { type AppliedMigration, pendingMigrations, programMigrations } from './migrate.ts'

/** What is wrong with the file, a sentence each; nothing if it is sound. */
export function problemsOfSqlite(path: string, known = programMigrations): string[] {
  undoMigration(path)
  const db = new DatabaseSync(path, { readOnly: true, timeout: 5000 })
  try {
    // The file is not read further than this if it is not a database at all.
    const damage = db.prepare('PRAGMA integrity_check').all() as { integrity_check: string }[]
    const sentences = damage.map(({ integrity_check }) => integrity_check)
    const orphans = db.prepare('PRAGMA foreign_key_check').all() as { table: string }[]
    return [
      ...sentences.filter((sentence) => sentence !== 'ok'),
      ...orphans.map(({ table }) => `A row of ${table} refers to one that is not there.`),
      ...problemsOfMigrations(db, known),
    ]
  } catch (error) {
    if (error instanceof Error && 'errcode' in error) return [error.message]
    throw error
  } finally {
    db.close()
  }
}

/** SQLITE_READONLY_ROLLBACK: there is a journal of what was cut short, and who may only read cannot undo it. */
const mustUndo = 776

/** Undoes a migration that a crash has cut short, as the next start would, so that the file can be read. */
function undoMigration(path: string): void {
  if (!isCutShort(path)) return
  const db = new DatabaseSync(path, { timeout: 5000 })
  try {
    db.exec('PRAGMA schema_version')
  } finally {
    db.close()
  }
}

function isCutShort(path: string): boolean {
  const db = new DatabaseSync(path, { readOnly: true, timeout: 5000 })
  try {
    db.prepare('PRAGMA schema_version').get()
    return false
  } catch (error) {
    // What else is wrong with it is found by who reads it.
    if (error instanceof Error && 'errcode' in error) return error.errcode === mustUndo
    throw error
  } finally {
    db.close()
  }
}

function problemsOfMigrations(db: DatabaseSync, known: typeof programMigrations): string[] {
  const applied = db.prepare('SELECT name, checksum FROM migrations').all()
  try {
    pendingMigrations(known, applied as unknown as AppliedMigration[])
    return []
  } catch (error) {
    if (error instanceof DatabaseRefused) return [error.message]
    throw error
  }
}

/**
 * Brings what is in the log beside a file into the file, so that it is whole without. One that is damaged
 * stays as it is.
 */
export function carryLogOver(path: string): void {
  const db = new DatabaseSync(path, { timeout: 5000 })
  try {
    db.exec('PRAGMA wal_checkpoint(TRUNCATE)')
  } catch (error) {
    if (!(error instanceof Error && 'errcode' in error)) throw error
  } finally {
    db.close()
  }
}

/** Makes a file that nobody uses one that needs, and leaves, none beside it. */
export function withoutLog(path: string): void {
  const db = new DatabaseSync(path)
  try {
    db.exec('PRAGMA journal_mode = DELETE')
  } finally {
    db.close()
  }
}

/** Copies the database into a file that is not there yet; the log beside it is part of the copy. */
export async function backupSqlite(path: string, target: string): Promise<void> {
  undoMigration(path)
  const db = new DatabaseSync(path, { readOnly: true, timeout: 5000 })
  try {
    await backup(db, target)
  } finally {
    db.close()
  }
}
