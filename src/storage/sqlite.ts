/**
 * SQLite on the thread that asks: for tests, for the simulation and for commands. A server uses
 * `sqlite-worker.ts`, which waits for the disk on a thread of its own.
 *
 * Units collected until the scheduler lets the writer run share a commit. Nothing of a group shows
 * before it is committed, since a commit is one synchronous act.
 *
 * @module
 */

import assert from 'node:assert/strict'
import type { Database, Sql, Writer } from './database.ts'
import { type Migration, programMigrations } from './migrate.ts'
import { SqliteConnection } from './sqlite-connection.ts'
import { lockSqlite } from './sqlite-lock.ts'
import { collectUnit, type PendingUnit, takeGroup, type UnitOutcome } from './units.ts'

/** How many statements may be run before other work of the thread gets its turn. */
const groupStepsMax = 2000

/** The disk of a simulated machine: a database in memory that outlives the process using it. */
export interface MemoryImage {
  /** The database, with its tables if it is used for the first time. */
  connection(migrations: readonly Migration[]): SqliteConnection
  /** Fills the disk, so that the database can grow no further, or makes room on it again. */
  fill(isFull: boolean): void
  /** Frees its memory, which is no part of the heap. It must be in use no more. */
  destroy(): void
  /** A copy of all that is in the database; `undefined` if it was never used. */
  copy(): Uint8Array | undefined
  /** Puts a copy in the place of the database, which nobody uses. */
  putBack(copy: Uint8Array): void
}

export function memoryImage(): MemoryImage {
  let connection: SqliteConnection | undefined
  return {
    connection: (migrations) => {
      connection ??= emptyInMemory(migrations)
      return connection
    },
    fill: (isFull) => connection?.mayGrow(!isFull),
    destroy: () => {
      connection?.close()
      connection = undefined
    },
    copy: () => connection?.content(),
    putBack: (copy) => {
      connection?.close()
      connection = new SqliteConnection(':memory:', { content: copy })
    },
  }
}

/** Databases in which nothing is but their tables. */
const empty = new WeakMap<readonly Migration[], Uint8Array>()

/** An empty database in memory. Its tables are copied: to make them takes most of a small test. */
function emptyInMemory(migrations: readonly Migration[]): SqliteConnection {
  const known = empty.get(migrations)
  if (known !== undefined) return new SqliteConnection(':memory:', { content: known })
  const connection = new SqliteConnection(':memory:')
  connection.migrate(migrations, { isOwner: true })
  empty.set(migrations, connection.content())
  return connection
}

export interface SqliteOptions {
  /** A file, or `:memory:` for a database that is gone when it is closed. */
  readonly path?: string
  /** Instead of a path. */
  readonly image?: MemoryImage
  /** Runs a commit soon, in the order of the calls. By default as a microtask. */
  readonly schedule?: (act: () => void) => void
  readonly migrations?: readonly Migration[]
}

export interface SqliteDatabase extends Database {
  /**
   * Ends as a process that is killed: units that are not committed are lost, and nothing that was
   * asked of this database is ever answered. What is committed is in the image, or the file.
   */
  crash(): void
}

/**
 * Opens the database and applies the migrations it has not had. A file that a server uses is written
 * beside it; what the server keeps in memory (streams, rooms) must be left alone then.
 */
export async function openSqlite(options: SqliteOptions): Promise<SqliteDatabase> {
  const { path = ':memory:', image, migrations = programMigrations } = options
  const schedule = options.schedule ?? queueMicrotask
  if (image !== undefined || path === ':memory:') {
    const connection = image?.connection(migrations) ?? emptyInMemory(migrations)
    connection.migrate(migrations, { isOwner: true })
    return new InProcessSqlite(connection, { schedule, close: () => {} })
  }
  const lock = lockSqlite(path, 0)
  const connection = new SqliteConnection(path)
  connection.migrate(migrations, { isOwner: lock !== undefined })
  const close = () => {
    connection.close()
    lock?.close()
  }
  return new InProcessSqlite(connection, { schedule, close })
}

class InProcessSqlite implements SqliteDatabase {
  readonly #connection: SqliteConnection
  readonly #schedule: (act: () => void) => void
  readonly #closeFile: () => void
  readonly #queue: PendingUnit[] = []
  #scheduled = false
  #state: 'open' | 'closed' | 'crashed' = 'open'
  #failure: Error | undefined

  constructor(
    connection: SqliteConnection,
    { schedule, close }: { schedule: (act: () => void) => void; close: () => void },
  ) {
    this.#connection = connection
    this.#schedule = schedule
    this.#closeFile = close
  }

  async all<Row>(statement: Sql): Promise<Row[]> {
    if (this.#state === 'crashed') return never()
    this.#assertUsable()
    return this.#connection.read(statement) as Row[]
  }

  async first<Row>(statement: Sql): Promise<Row | undefined> {
    const rows = await this.all<Row>(statement)
    return rows[0]
  }

  async write<T>(collect: (tx: Writer) => T): Promise<Awaited<T>> {
    if (this.#state === 'crashed') return never()
    this.#assertUsable()
    const { unit, done } = collectUnit(collect)
    this.#queue.push(unit)
    this.#commitSoon()
    return done
  }

  async close(): Promise<void> {
    if (this.#state !== 'open') return
    this.#state = 'closed'
    while (this.#queue.length > 0) this.#commitGroup()
    this.#closeFile()
  }

  crash(): void {
    this.#state = 'crashed'
    this.#queue.length = 0
    this.#closeFile()
  }

  #commitSoon(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    this.#schedule(() => {
      this.#scheduled = false
      if (this.#state !== 'open') return
      this.#commitGroup()
      if (this.#queue.length > 0) this.#commitSoon()
    })
  }

  #commitGroup(): void {
    const group = takeGroup(this.#queue, groupStepsMax)
    try {
      const outcomes = this.#connection.commitGroup(group.map(({ steps }) => steps))
      for (const [index, unit] of group.entries()) unit.settle(outcomes[index] as UnitOutcome)
    } catch (error) {
      this.#failure = error as Error
      for (const unit of [...group, ...this.#queue.splice(0)]) unit.fail(this.#failure)
    }
  }

  #assertUsable(): void {
    if (this.#failure !== undefined) throw this.#failure
    assert(this.#state === 'open', 'the database is closed')
  }
}

function never(): Promise<never> {
  return new Promise(() => {})
}
