/**
 * The one connection that writes to PostgreSQL. Units that arrive while a commit is under way are
 * committed together next: all statements are sent without waiting for answers, and `COMMIT` once
 * all have succeeded. If any has not, the group is undone and done again, each unit in a savepoint.
 *
 * When the connection breaks before `COMMIT` was sent, nothing is stored and the group is sent again
 * on the next connection. When it breaks after, the outcome is looked up: each transaction counts
 * `commits` in the table `writer` up by one, so the count says whether it was stored. The same
 * statement names the writer's `epoch`, so that a writer which another process has replaced cannot
 * commit anything any more.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { Client, type ClientConfig, DatabaseError, type QueryResult } from 'pg'
import type { Clock } from '#io/clock.ts'
import { DatabaseFailed, DatabaseRefused, sql } from './database.ts'
import {
  type AppliedMigration,
  type Migration,
  migrationsTable,
  mustMigrate,
  pendingMigrations,
  statementsOf,
} from './migrate.ts'
import { queryOf } from './postgres-sql.ts'
import type { PendingUnit, Row, Step, UnitOutcome } from './units.ts'

const writerTable =
  'CREATE TABLE IF NOT EXISTS writer ' +
  '(id BIGINT PRIMARY KEY, epoch BIGINT NOT NULL, commits BIGINT NOT NULL)'

const lockStatement = "SELECT pg_advisory_lock(hashtextextended('hansa ' || current_schema(), 0))"

/** How often a group is sent when the connection breaks under it. */
const attemptsMax = 3

/** How long is waited before each try to reach a server that was lost. */
export const reconnectWaitMs = [0, 100, 300, 1000, 2000, 4000, 8000, 15000]

/** The connection is gone, and with it what was not committed. */
class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost'
}

export interface PostgresWriterOptions {
  readonly clock: Clock
  readonly lockWaitMs: number
  readonly mayShare: boolean
}

export class PostgresWriter {
  readonly #config: ClientConfig
  readonly #options: PostgresWriterOptions
  #isOwner = true
  #client: Client | undefined
  #epoch = 0
  /** How many transactions this writer has committed. */
  #commits = 0

  constructor(config: ClientConfig, options: PostgresWriterOptions) {
    this.#config = config
    this.#options = options
  }

  /** Connects, refuses a server that may lose what it has acknowledged, migrates, takes over. */
  async open(migrations: readonly Migration[]): Promise<void> {
    const client = await this.#connect()
    try {
      await assertDurable(client)
      if (!this.#isOwner) {
        const applied = await appliedMigrations(client)
        if (pendingMigrations(migrations, applied).length > 0) throw mustMigrate()
        this.#client = client
        return
      }
      await client.query(migrationsTable.postgres)
      await client.query(writerTable)
      await migrate(client, migrations)
      const taken = await client.query<{ epoch: number }>(
        'INSERT INTO writer (id, epoch, commits) VALUES (1, 1, 0) ' +
          'ON CONFLICT (id) DO UPDATE SET epoch = writer.epoch + 1, commits = 0 RETURNING epoch',
      )
      this.#epoch = taken.rows[0]?.epoch ?? 0
      this.#client = client
    } finally {
      if (this.#client !== client) await client.end()
    }
  }

  /** Commits a group and settles its units. Throws `DatabaseFailed` when their fate is not known. */
  async commit(group: readonly PendingUnit[]): Promise<void> {
    for (let attempt = 1; attempt <= attemptsMax; attempt += 1) {
      const client = this.#client ?? (await this.#reconnect())
      const outcomes = await this.#tryCommit(client, group)
      if (outcomes === undefined) continue
      for (const [index, unit] of group.entries()) unit.settle(outcomes[index] as UnitOutcome)
      return
    }
    throw new DatabaseFailed('The connection to PostgreSQL breaks whenever it is used.')
  }

  /** What became of the group, or nothing if it is to be sent again because it is not stored. */
  async #tryCommit(
    client: Client,
    group: readonly PendingUnit[],
  ): Promise<UnitOutcome[] | undefined> {
    let outcomes: UnitOutcome[] | undefined
    try {
      const done = (await this.#together(client, group)) ?? (await this.#oneByOne(client, group))
      outcomes = done
      await run(client, 'COMMIT')
    } catch (error) {
      if (error instanceof DatabaseError) {
        // The server has refused the transaction as a whole, for lack of space for instance.
        await run(client, 'ROLLBACK')
        return group.map(() => outcomeOf(error))
      }
      if (!(error instanceof ConnectionLost)) throw error
      this.#drop(client)
      if (outcomes === undefined || !(await this.#wasCommitted())) return undefined
    }
    this.#commits += 1
    return outcomes
  }

  async close(): Promise<void> {
    await this.#client?.end()
  }

  async #connect(): Promise<Client> {
    const client = new Client({ ...this.#config, pipeline: true })
    // A connection that breaks rejects what waits for it; what does not wait learns at its next use.
    client.on('error', () => this.#drop(client))
    try {
      await client.connect()
      await this.#own(client)
    } catch (error) {
      client.end().catch(() => {})
      throw error
    }
    return client
  }

  /** Takes the lock that only one process has, or finds out that another has it. */
  async #own(client: Client): Promise<void> {
    const { lockWaitMs, mayShare } = this.#options
    await client.query(`SET lock_timeout = ${mayShare ? 1 : lockWaitMs}`)
    try {
      await client.query(lockStatement)
    } catch (cause) {
      if (!(cause instanceof DatabaseError) || cause.code !== '55P03') throw cause
      if (!mayShare) throw new DatabaseRefused('Another process uses the database.', { cause })
      this.#isOwner = false
    }
    await client.query('SET lock_timeout = 0')
  }

  #drop(client = this.#client): void {
    if (client !== this.#client) return
    this.#client = undefined
    client?.end().catch(() => {})
  }

  async #reconnect(): Promise<Client> {
    let cause: unknown
    for (const waitMs of reconnectWaitMs) {
      await this.#options.clock.sleep(waitMs)
      try {
        this.#client = await this.#connect()
        return this.#client
      } catch (error) {
        cause = error
      }
    }
    throw new DatabaseFailed('PostgreSQL cannot be reached.', { cause })
  }

  /** Whether the transaction whose `COMMIT` was sent is stored. */
  async #wasCommitted(): Promise<boolean> {
    if (!this.#isOwner) throw new DatabaseFailed('The connection broke during a commit.')
    const client = await this.#reconnect()
    // The lock is ours again, so the backend that had it has ended and nothing is under way there.
    const { rows } = await client.query<{ epoch: number; commits: number }>(
      'SELECT epoch, commits FROM writer WHERE id = 1',
    )
    const found = rows[0]
    if (found?.epoch !== this.#epoch) throw takenOver()
    assert(found.commits === this.#commits || found.commits === this.#commits + 1)
    return found.commits > this.#commits
  }

  /** The outcomes if every unit has succeeded; otherwise the transaction is undone. */
  async #together(
    client: Client,
    group: readonly PendingUnit[],
  ): Promise<UnitOutcome[] | undefined> {
    const [, , ...outcomes] = await Promise.all([
      run(client, 'BEGIN'),
      this.#count(client),
      ...group.map(({ steps }) => runUnit(client, steps)),
    ])
    if (outcomes.every(({ ok }) => ok)) return outcomes
    await run(client, 'ROLLBACK')
    return undefined
  }

  async #oneByOne(client: Client, group: readonly PendingUnit[]): Promise<UnitOutcome[]> {
    await Promise.all([run(client, 'BEGIN'), this.#count(client)])
    const outcomes: UnitOutcome[] = []
    for (const { steps } of group) {
      const [, outcome] = await Promise.all([run(client, 'SAVEPOINT unit'), runUnit(client, steps)])
      outcomes.push(outcome)
      await run(client, outcome.ok ? 'RELEASE unit' : 'ROLLBACK TO unit; RELEASE unit')
    }
    return outcomes
  }

  async #count(client: Client): Promise<void> {
    if (!this.#isOwner) return
    const counted = await run(
      client,
      queryOf(sql`
        UPDATE writer SET commits = ${this.#commits + 1} WHERE id = 1 AND epoch = ${this.#epoch}
      `),
    )
    if (counted.rowCount !== 1) throw takenOver()
  }
}

function takenOver(): DatabaseFailed {
  return new DatabaseFailed('Another process has taken over the database.')
}

async function assertDurable(client: Client): Promise<void> {
  const { rows } = await client.query<{ name: string; setting: string }>(
    'SELECT name, setting FROM pg_settings WHERE name IN ' +
      "('fsync', 'full_page_writes', 'synchronous_commit', 'server_encoding')",
  )
  for (const { name, setting } of rows) {
    if (name === 'server_encoding' && setting !== 'UTF8') {
      throw new DatabaseRefused(`The database's encoding is ${setting}; it must be UTF8.`)
    }
    if (setting === 'off') {
      throw new DatabaseRefused(
        `PostgreSQL runs with ${name} = off: it may lose what it has acknowledged. Switch it on.`,
      )
    }
  }
}

async function appliedMigrations(client: Client): Promise<AppliedMigration[]> {
  return (await client.query<AppliedMigration>('SELECT name, checksum FROM migrations')).rows
}

/** Applies all or nothing. */
async function migrate(client: Client, known: readonly Migration[]): Promise<void> {
  const pending = pendingMigrations(known, await appliedMigrations(client))
  await client.query('BEGIN')
  for (const migration of pending) {
    try {
      const statements = statementsOf(migration, 'postgres').map((text) => client.query(text))
      await Promise.all(statements)
    } catch (cause) {
      await client.query('ROLLBACK')
      throw new Error(`The migration ${migration.name} failed.`, { cause })
    }
    await client.query('INSERT INTO migrations (name, checksum) VALUES ($1, $2)', [
      migration.name,
      migration.checksum,
    ])
  }
  await client.query('COMMIT')
}

/** Runs a unit's steps without waiting between them. Those after one that fails have no effect. */
async function runUnit(client: Client, steps: readonly Step[]): Promise<UnitOutcome> {
  const results = await Promise.allSettled(steps.map((step) => run(client, queryOf(step))))
  const rows: Row[][] = []
  for (const [index, result] of results.entries()) {
    if (result.status === 'rejected') return outcomeOf(result.reason)
    const { otherwise, returning } = steps[index] as Step
    if (returning) rows.push(result.value.rows)
    else if (otherwise !== undefined && result.value.rowCount === 0) {
      return { ok: false, kind: 'expectation', message: otherwise }
    }
  }
  return { ok: true, rows }
}

/** unique_violation and disk_full. */
const kinds = new Map<string, 'unique' | 'full'>([
  ['23505', 'unique'],
  ['53100', 'full'],
])

function outcomeOf(error: unknown): UnitOutcome {
  if (!(error instanceof DatabaseError)) throw error
  const kind = kinds.get(error.code ?? '') ?? 'other'
  return { ok: false, kind, message: error.message, cause: error }
}

async function run(
  client: Client,
  query: string | { name: string; text: string; values: unknown[] },
): Promise<QueryResult<Row>> {
  try {
    return await client.query<Row>(query)
  } catch (cause) {
    if (!isConnectionLost(cause)) throw cause
    throw new ConnectionLost('The connection to PostgreSQL is lost.', { cause })
  }
}

/** An error of the socket, or one after which the server ends the session. */
export function isConnectionLost(error: unknown): boolean {
  if (!(error instanceof DatabaseError)) return true
  return error.severity === 'FATAL' || error.severity === 'PANIC'
}
