/**
 * Who owns an SQLite file: the one process that may migrate it and keeps in memory what it has read
 * of it. A lock on a file beside it says so; the system releases it however the process ends.
 *
 * @module
 */

import { DatabaseSync } from 'node:sqlite'

export interface SqliteLock {
  close(): void
}

/** Takes the lock, waiting for it if need be; gives nothing if another process keeps it. */
export function lockSqlite(path: string, waitMs: number): SqliteLock | undefined {
  const lock = new DatabaseSync(`${path}.lock`, { timeout: waitMs })
  try {
    lock.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE')
    return lock
  } catch (error) {
    lock.close()
    if (error instanceof Error && 'errcode' in error && error.errcode === 5) return undefined
    throw error
  }
}
