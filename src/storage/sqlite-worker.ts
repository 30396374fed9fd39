/**
 * SQLite for a server: units are written by a thread of its own (`sqlite-writer.ts`), so that nobody
 * waits for the disk but who asked; reads are done where they are asked for, since a row that is in
 * the cache is read in less time than it takes to send the question to another thread.
 *
 * Units of one turn of the event loop travel together. The writer answers a unit after its commit,
 * and only then does `write` resolve; a read that starts later sees it.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { Worker } from 'node:worker_threads'
import { afterTurn } from '#io/turn.ts'
import {
  type Database,
  DatabaseFailed,
  DatabaseRefused,
  type Sql,
  type Writer,
} from './database.ts'
import { type Migration, programMigrations } from './migrate.ts'
import { packUnits } from './packed-units.ts'
import { SqliteConnection } from './sqlite-connection.ts'
import type { FromWriter, ToWriter, WriterStart } from './sqlite-writer.ts'
import { collectUnit, type PendingUnit } from './units.ts'

/** As many units may wait for the disk; what else arrives then is refused. */
const pendingMax = 200_000

/** What the writer is sent is soon garbage; V8 would let it become some fifty MiB before it cleans up. */
const youngMiB = 12

export interface SqliteWorkerOptions {
  readonly path: string
  /** Told once if the database fails: nothing can be written any more, and the process ought to end. */
  readonly onFatal: (error: DatabaseFailed) => void
  readonly migrations?: readonly Migration[]
  /** How long to wait for another process to let go of the file. */
  readonly lockWaitMs?: number
  /** One that the writer's commits are to pass, as `io/failpoints.ts` reads it. */
  readonly failpoint?: string | undefined
}

/** Opens the file, makes it if it is not there, and applies the migrations it has not had. */
export async function openSqliteWorker(options: SqliteWorkerOptions): Promise<Database> {
  const { path, onFatal, migrations = programMigrations, lockWaitMs = 5000, failpoint } = options
  const start: WriterStart = { path, migrations, lockWaitMs, failpoint }
  const worker = new Worker(new URL('./sqlite-writer.ts', import.meta.url), {
    name: 'sqlite-writer',
    workerData: start,
    resourceLimits: { maxYoungGenerationSizeMb: youngMiB },
  })
  await started(worker)
  return new SqliteWorker(worker, new SqliteConnection(path, { readOnly: true }), onFatal)
}

function started(worker: Worker): Promise<void> {
  return new Promise((resolve, reject) => {
    worker.once('error', (error) =>
      reject(
        error instanceof Error && error.name === 'DatabaseRefused'
          ? new DatabaseRefused(error.message, { cause: error })
          : error,
      ),
    )
    worker.once('message', () => {
      worker.removeAllListeners('error')
      resolve()
    })
  })
}

class SqliteWorker implements Database {
  readonly #worker: Worker
  readonly #reader: SqliteConnection
  readonly #onFatal: (error: DatabaseFailed) => void
  /** Units of this turn. */
  #collected: PendingUnit[] = []
  /** Units the writer has, in order. */
  readonly #sent: PendingUnit[] = []
  /** The numbers of the statements the writer knows. */
  readonly #numbers = new WeakMap<readonly string[], number>()
  #statementCount = 0
  readonly #exited: Promise<void>
  /** Called whenever no unit is pending. */
  #onIdle = () => {}
  #isClosing = false
  #failure: DatabaseFailed | undefined

  constructor(worker: Worker, reader: SqliteConnection, onFatal: (error: DatabaseFailed) => void) {
    this.#worker = worker
    this.#reader = reader
    this.#onFatal = onFatal
    this.#exited = new Promise((resolve) => {
      worker.once('exit', (code) => {
        if (!this.#isClosing) this.#fail(new Error(`The writer ended with code ${code}.`))
        resolve()
      })
    })
    worker.on('error', (cause) => this.#fail(cause))
    worker.on('message', (message: FromWriter) => this.#receive(message))
  }

  async all<Row>(statement: Sql): Promise<Row[]> {
    return this.#reader.read(statement) as Row[]
  }

  async first<Row>(statement: Sql): Promise<Row | undefined> {
    return this.#reader.read(statement)[0] as Row | undefined
  }

  async write<T>(collect: (tx: Writer) => T): Promise<Awaited<T>> {
    if (this.#failure !== undefined) throw this.#failure
    assert(!this.#isClosing, 'the database is closed')
    assert(this.#sent.length + this.#collected.length < pendingMax, 'the disk is too slow')
    const { unit, done } = collectUnit(collect)
    if (this.#collected.length === 0) afterTurn(() => this.#send())
    this.#collected.push(unit)
    return done
  }

  async close(): Promise<void> {
    if (this.#isClosing) return this.#exited
    this.#isClosing = true
    this.#send()
    if (this.#sent.length > 0) await new Promise<void>((resolve) => (this.#onIdle = resolve))
    // The last one to close carries the log over into the file, which only the writer may do.
    this.#reader.close()
    this.#post('close')
    return this.#exited
  }

  #send(): void {
    const units = this.#collected
    if (units.length === 0 || this.#failure !== undefined) return
    this.#collected = []
    const statements: (readonly string[])[] = []
    const numbered = (texts: readonly string[]) => {
      const known = this.#numbers.get(texts)
      if (known !== undefined) return known
      const number = this.#statementCount
      this.#statementCount += 1
      this.#numbers.set(texts, number)
      // Cloning a template's frozen array with its `raw` would be waste.
      statements.push([...texts])
      return number
    }
    const packed = packUnits(
      units.map(({ steps }) => steps),
      numbered,
    )
    this.#sent.push(...units)
    this.#post({ statements, units: packed }, [packed.bytes.buffer])
  }

  #post(message: ToWriter, handedOver: readonly ArrayBuffer[] = []): void {
    this.#worker.postMessage(message, handedOver)
  }

  #receive(message: FromWriter): void {
    if (message === 'ready') return
    const count = typeof message === 'number' ? message : message.length
    for (const [index, unit] of this.#sent.splice(0, count).entries()) {
      const outcome = typeof message === 'number' ? undefined : message[index]
      unit.settle(outcome ?? { ok: true, rows: [] })
    }
    if (this.#sent.length === 0) this.#onIdle()
  }

  #fail(cause: unknown): void {
    if (this.#failure !== undefined) return
    const message = cause instanceof Error ? cause.message : String(cause)
    this.#failure = new DatabaseFailed(`The database has failed: ${message}`, { cause })
    for (const unit of [...this.#sent.splice(0), ...this.#collected.splice(0)]) {
      unit.fail(this.#failure)
    }
    this.#onIdle()
    this.#onFatal(this.#failure)
  }
}
