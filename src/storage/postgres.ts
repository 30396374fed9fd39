/**
 * PostgreSQL behind the same seam as SQLite: one connection writes (`postgres-writer.ts`), a few
 * others read. What a read sees is what is committed, so a `write` that has resolved is seen.
 *
 * @module
 */

import assert from 'node:assert/strict'
import type { ClientConfig } from 'pg'
import type { Clock } from '#io/clock.ts'
import { afterTurn } from '#io/turn.ts'
import { type Database, DatabaseFailed, type Sql, type Writer } from './database.ts'
import { type Migration, programMigrations } from './migrate.ts'
import { PostgresReaders } from './postgres-readers.ts'
import { postgresTypes, queryOf } from './postgres-sql.ts'
import { PostgresWriter } from './postgres-writer.ts'
import { assertReads, collectUnit, type PendingUnit, takeGroup } from './units.ts'

const readConnectionsMax = 4
const groupStepsMax = 1000
const pendingMax = 200_000

export interface PostgresOptions {
  readonly url: string
  /** The schema to use; without it, what the server's `search_path` says. */
  readonly schema?: string
  readonly clock: Clock
  /** Told once if nothing can be written any more; the process ought to end. */
  readonly onFatal: (error: DatabaseFailed) => void
  readonly migrations?: readonly Migration[]
  /** How long to wait for another process to let go of the database. */
  readonly lockWaitMs?: number
  /**
   * For commands: if a server uses the database, writes beside it. What the server keeps in memory
   * (streams, rooms) must be left alone then.
   */
  readonly mayShare?: boolean
}

/** Connects and applies the migrations the database has not had. Throws `DatabaseRefused`. */
export async function openPostgres(options: PostgresOptions): Promise<Database> {
  const { url, schema, clock, onFatal, migrations = programMigrations } = options
  const config: ClientConfig = {
    connectionString: url,
    application_name: 'hansa',
    types: postgresTypes,
    ...(schema !== undefined && { options: `-c search_path=${schema}` }),
  }
  const { lockWaitMs = 5000, mayShare = false } = options
  const writer = new PostgresWriter(config, { clock, lockWaitMs, mayShare })
  await writer.open(migrations)
  return new Postgres(writer, new PostgresReaders(config, clock, readConnectionsMax), onFatal)
}

class Postgres implements Database {
  readonly #writer: PostgresWriter
  readonly #readers: PostgresReaders
  readonly #onFatal: (error: DatabaseFailed) => void
  readonly #queue: PendingUnit[] = []
  #committing: Promise<void> | undefined
  #isClosing = false
  #failure: DatabaseFailed | undefined

  constructor(
    writer: PostgresWriter,
    readers: PostgresReaders,
    onFatal: (error: DatabaseFailed) => void,
  ) {
    this.#writer = writer
    this.#readers = readers
    this.#onFatal = onFatal
  }

  async all<Row>(statement: Sql): Promise<Row[]> {
    assertReads(statement)
    return await this.#readers.read<Row>(queryOf(statement))
  }

  async first<Row>(statement: Sql): Promise<Row | undefined> {
    const rows = await this.all<Row>(statement)
    return rows[0]
  }

  async write<T>(collect: (tx: Writer) => T): Promise<Awaited<T>> {
    if (this.#failure !== undefined) throw this.#failure
    assert(!this.#isClosing, 'the database is closed')
    assert(this.#queue.length < pendingMax, 'the database is too slow')
    const { unit, done } = collectUnit(collect)
    this.#queue.push(unit)
    this.#committing ??= this.#commitAll()
    return done
  }

  async close(): Promise<void> {
    if (this.#isClosing) return this.#committing
    this.#isClosing = true
    await this.#committing
    await Promise.all([this.#writer.close(), this.#readers.end()])
  }

  async #commitAll(): Promise<void> {
    await new Promise<void>(afterTurn)
    while (this.#queue.length > 0) {
      const group = takeGroup(this.#queue, groupStepsMax)
      try {
        await this.#writer.commit(group)
      } catch (error) {
        this.#fail(error, group)
      }
    }
    this.#committing = undefined
  }

  #fail(cause: unknown, group: readonly PendingUnit[]): void {
    const failure =
      cause instanceof DatabaseFailed
        ? cause
        : new DatabaseFailed('PostgreSQL has failed.', { cause })
    this.#failure = failure
    for (const unit of [...group, ...this.#queue.splice(0)]) unit.fail(failure)
    this.#onFatal(failure)
  }
}
