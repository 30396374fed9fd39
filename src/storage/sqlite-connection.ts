/**
 * One connection to an SQLite file, with everything in it synchronous: prepared statements, reads,
 * and the commit of a group of units. Who calls it, and on which thread, is decided elsewhere.
 *
 * A group is one transaction, so one fsync, and each unit a savepoint in it, so that one that fails
 * takes nothing else with it. WAL with `synchronous=FULL`: what `commitGroup` has returned from
 * survives a crash of the machine.
 *
 * @module
 */

import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import type { Failpoint } from '#io/failpoints.ts'
import { DatabaseFailed, type List, type Parameter, type Sql } from './database.ts'
import {
  type AppliedMigration,
  type Migration,
  migrationsTable,
  mustMigrate,
  pendingMigrations,
  statementsOf,
} from './migrate.ts'
import { assertReads, type Row, type Step, type UnitOutcome } from './units.ts'

/**
 * Pages that each connection keeps. More of them are kept by the system, which gives one in some microseconds;
 * here they would be memory that is never given back. And a reader forgets them at each commit of the writer.
 */
const cacheKiB = 8 * 1024
/** While a migration writes all anew: what does not fit is synced to the journal each time. */
const migrationCacheKiB = 64 * 1024

/** A burst may make the log longer; it is cut to this when it has been carried over. */
const walBytesKept = 64 * 1024 * 1024

/** The most that SQLite allows. */
const pagesMaxOfAll = 4_294_967_294

interface Prepared {
  readonly statement: StatementSync
  /** The names of its columns, known from when it gives a row. */
  columns: readonly string[] | undefined
}

export class SqliteConnection {
  readonly #db: DatabaseSync
  readonly #prepared = new WeakMap<readonly string[], Prepared>()
  readonly #begin: StatementSync
  readonly #commit: StatementSync
  readonly #savepoint: StatementSync
  readonly #release: StatementSync
  readonly #undo: StatementSync
  readonly #failpoint: Failpoint | undefined

  /** `content`: what a database in memory begins with, as another gave it. */
  constructor(
    path: string,
    options: {
      readonly readOnly?: boolean
      readonly content?: Uint8Array
      readonly failpoint?: Failpoint | undefined
    } = {},
  ) {
    const { readOnly = false, content } = options
    this.#failpoint = options.failpoint
    this.#db = new DatabaseSync(path, { readOnly, timeout: 5000 })
    if (content !== undefined) this.#db.deserialize(content)
    // The page size counts only before the first table is made.
    if (!readOnly) this.#db.exec('PRAGMA page_size = 8192; PRAGMA journal_mode = WAL')
    this.#db.exec(
      `PRAGMA synchronous = FULL; PRAGMA journal_size_limit = ${walBytesKept}; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY`,
    )
    this.#keepPages(cacheKiB)
    this.#begin = this.#db.prepare('BEGIN IMMEDIATE')
    this.#commit = this.#db.prepare('COMMIT')
    this.#savepoint = this.#db.prepare('SAVEPOINT unit')
    this.#release = this.#db.prepare('RELEASE unit')
    this.#undo = this.#db.prepare('ROLLBACK TO unit')
  }

  /** Applies what this database has not had; only its owner may. Throws `DatabaseRefused`. */
  migrate(known: readonly Migration[], { isOwner }: { readonly isOwner: boolean }): void {
    if (isOwner) this.#db.exec(migrationsTable.sqlite)
    const rows = this.#db.prepare('SELECT name, checksum FROM migrations').all()
    const applied = rows as unknown as AppliedMigration[]
    const pending = pendingMigrations(known, applied)
    if (pending.length === 0) return
    if (!isOwner) throw mustMigrate()
    if (applied.length > 0) this.#leaveLog()
    this.#keepPages(migrationCacheKiB)
    for (const migration of pending) {
      this.#begin.run()
      try {
        for (const statement of statementsOf(migration, 'sqlite')) this.#db.exec(statement)
        this.#db
          .prepare('INSERT INTO migrations (name, checksum) VALUES (?, ?)')
          .run(migration.name, migration.checksum)
        this.#commitNow('migration')
      } catch (cause) {
        if (this.#db.isTransaction) this.#db.exec('ROLLBACK')
        throw new Error(`The migration ${migration.name} failed.`, { cause })
      }
    }
    if (applied.length > 0) this.#db.exec('PRAGMA journal_mode = WAL')
    this.#keepPages(cacheKiB)
  }

  #keepPages(kiB: number): void {
    this.#db.exec(`PRAGMA cache_size = -${kiB}`)
  }

  /**
   * A migration may write all anew in one transaction. The log would have it all once more, and it would
   * be written twice; a journal has only what is overwritten. Of its modes this one is durable by itself.
   */
  #leaveLog(): void {
    try {
      this.#db.exec('PRAGMA journal_mode = TRUNCATE')
    } catch (error) {
      // Whoever reads the file meanwhile needs the log.
      if (!isBusy(error)) throw error
    }
  }

  read(statement: Sql): Row[] {
    assertReads(statement)
    const prepared = this.#prepare(statement.texts, statement.values)
    return rowsOf(prepared, statement.values)
  }

  /**
   * Commits units together and says what became of each. Throws `DatabaseFailed` if it is not known
   * what became of the transaction.
   */
  commitGroup(units: readonly (readonly Step[])[]): UnitOutcome[] {
    try {
      this.#begin.run()
      const outcomes = units.map((steps) => this.#tryUnit(steps))
      this.#commitNow('commit')
      return outcomes
    } catch (cause) {
      const message = `SQLite: ${messageOf(cause)}`
      if (!isUndone(cause)) throw new DatabaseFailed(message, { cause })
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK')
      // What did not fit took the others with it; alone, those that fit are stored.
      if (isFull(cause) && units.length > 1)
        return units.flatMap((unit) => this.commitGroup([unit]))
      return units.map(() => ({ ok: false, kind: kindOf(cause), message, cause }))
    }
  }

  /** All that is in the database, as bytes. */
  content(): Uint8Array {
    return this.#db.serialize()
  }

  /** Whether the file may grow: if not, what does not fit fails as it does on a full disk. */
  mayGrow(may: boolean): void {
    const pagesMax = may ? pagesMaxOfAll : 1
    // It is never less than what the file has.
    this.#db.exec(`PRAGMA max_page_count = ${pagesMax}`)
  }

  close(): void {
    this.#db.close()
  }

  #commitNow(place: 'commit' | 'migration'): void {
    this.#failpoint?.reachInThread(`${place}/before`, () => new Error('a failpoint'))
    this.#commit.run()
    this.#failpoint?.reachInThread(`${place}/after`, () => new Error('a failpoint'))
  }

  #tryUnit(steps: readonly Step[]): UnitOutcome {
    this.#savepoint.run()
    let outcome: UnitOutcome
    try {
      outcome = this.#runUnit(steps)
    } catch (error) {
      // A full disk or an I/O error ends the whole transaction; a violated constraint does not.
      if (!this.#db.isTransaction) throw error
      outcome = { ok: false, kind: kindOf(error), message: messageOf(error), cause: error }
    }
    if (!outcome.ok) this.#undo.run()
    this.#release.run()
    return outcome
  }

  #runUnit(steps: readonly Step[]): UnitOutcome {
    const rows: Row[][] = []
    for (const { texts, values, otherwise, returning } of steps) {
      const prepared = this.#prepare(texts, values)
      if (returning) {
        rows.push(rowsOf(prepared, values))
        continue
      }
      const { changes } = prepared.statement.run(...values.map(bindable))
      if (otherwise !== undefined && changes === 0) {
        return { ok: false, kind: 'expectation', message: otherwise }
      }
    }
    return { ok: true, rows }
  }

  #prepare(texts: readonly string[], values: readonly Parameter[]): Prepared {
    const known = this.#prepared.get(texts)
    if (known !== undefined) return known
    const statement = this.#db.prepare(sqliteText(texts, values))
    statement.setReturnArrays(true)
    const prepared = { statement, columns: undefined }
    this.#prepared.set(texts, prepared)
    return prepared
  }
}

/** The text of a statement as SQLite reads it. */
export function sqliteText(texts: readonly string[], values: readonly Parameter[]): string {
  return texts.reduce((text, next, index) => {
    const value = placeholder(values[index - 1])
    return `${text}${isLimit.test(text) ? `CAST(${value} AS INTEGER)` : value}${next}`
  })
}

/**
 * A limit is a part of the plan if it is nothing but a parameter: each time it is bound, SQLite would
 * prepare the statement anew, which takes ten times as long as to run most of them.
 */
const isLimit = /\bLIMIT\s*$/

function rowsOf(prepared: Prepared, values: readonly Parameter[]): Row[] {
  // Arrays made into objects here are four times as fast as the objects of `node:sqlite`, which
  // have no prototype.
  const arrays = prepared.statement.all(...values.map(bindable)) as unknown as Row[string][][]
  if (arrays.length === 0) return []
  prepared.columns ??= prepared.statement.columns().map(({ name }) => name)
  const { columns } = prepared
  return arrays.map((array) => {
    const row: Row = {}
    for (let index = 0; index < columns.length; index += 1) {
      row[columns[index] as string] = array[index] as Row[string]
    }
    return row
  })
}

function placeholder(value: Parameter | undefined): string {
  if (!isList(value)) return '?'
  return value.list === 'bytes'
    ? '(SELECT unhex(value) AS value FROM json_each(?))'
    : '(SELECT value FROM json_each(?))'
}

function bindable(value: Parameter): SQLInputValue {
  if (!isList(value)) return value
  if (value.list !== 'bytes') return JSON.stringify(value.values)
  return JSON.stringify(value.values.map((bytes) => (bytes as Uint8Array).toHex()))
}

function isList(value: Parameter | undefined): value is List {
  return value != null && typeof value === 'object' && 'list' in value
}

/** SQLITE_CONSTRAINT_UNIQUE, _PRIMARYKEY and _ROWID. */
const uniqueCodes: ReadonlySet<number> = new Set([2067, 1555, 2579])

function kindOf(error: unknown): 'unique' | 'full' | 'other' {
  if (isFull(error)) return 'full'
  return uniqueCodes.has(codeOf(error)) ? 'unique' : 'other'
}

/** SQLITE_BUSY, _NOMEM and _FULL leave the file as it was, or let it be rolled back. */
const undoneCodes: ReadonlySet<number> = new Set([5, 7, 13])

function isUndone(error: unknown): boolean {
  return undoneCodes.has(codeOf(error) & 0xff)
}

function isBusy(error: unknown): boolean {
  return (codeOf(error) & 0xff) === 5
}

function isFull(error: unknown): boolean {
  return (codeOf(error) & 0xff) === 13
}

function codeOf(error: unknown): number {
  return error instanceof Error && 'errcode' in error ? Number(error.errcode) : 0
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
