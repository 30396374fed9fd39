/**
 * A store as an older Hansa has left it, with all that a newer one's tables and columns share with its.
 *
 * @module
 */

import { DatabaseSync } from 'node:sqlite'
import { programMigrations } from '#storage/migrate.ts'
import { openSqlite } from '#storage/sqlite.ts'

/**
 * Makes the SQLite file `older` as it was before the migration whose name begins with `before`, and puts
 * into it the rows of `newer`, which nobody uses.
 */
export async function makeOlderSqlite(options: {
  readonly newer: string
  readonly older: string
  readonly before: string
}): Promise<void> {
  const migrations = programMigrations.filter(({ name }) => name < options.before)
  const empty = await openSqlite({ path: options.older, migrations })
  await empty.close()
  const db = new DatabaseSync(options.older)
  try {
    // Indices by IDs are filled in the order of chance; what is not durable is made anew.
    db.exec('PRAGMA foreign_keys = OFF; PRAGMA cache_size = -500000; PRAGMA synchronous = OFF')
    db.prepare('ATTACH ? AS newer').run(options.newer)
    db.exec('BEGIN')
    for (const table of tablesOf(db, 'main')) {
      if (table === 'migrations' || !tablesOf(db, 'newer').includes(table)) continue
      const theirs = columnsOf(db, 'newer', table)
      const columns = columnsOf(db, 'main', table).filter((column) => theirs.includes(column))
      const list = columns.map((column) => `"${column}"`).join()
      // Of what a migration has put there, the newer store has what became of it.
      db.exec(`DELETE FROM main."${table}"`)
      db.exec(`INSERT INTO main."${table}" (${list}) SELECT ${list} FROM newer."${table}"`)
    }
    db.exec('COMMIT')
  } finally {
    db.close()
  }
}

function tablesOf(db: DatabaseSync, schema: 'main' | 'newer'): string[] {
  const rows = db
    .prepare(`SELECT name FROM ${schema}.sqlite_schema WHERE type = 'table'`)
    .all() as { name: string }[]
  return rows.map(({ name }) => name).filter((name) => !name.startsWith('sqlite_'))
}

function columnsOf(db: DatabaseSync, schema: 'main' | 'newer', table: string): string[] {
  const rows = db.prepare(`PRAGMA ${schema}.table_info("${table}")`).all() as { name: string }[]
  return rows.map(({ name }) => name)
}
