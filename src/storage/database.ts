/**
 * The seam between Hansa and a database.
 *
 * Reading is by statement. Writing is by **unit**: a list of statements that are committed together
 * or not at all. A unit is collected synchronously and handed over whole, so no transaction is ever
 * open while somebody thinks or waits for the network, and many units share one fsync (group
 * commit). Units are committed in the order in which `write` was called.
 *
 * What must be read before it is decided what to write is read first; whoever decides makes sure by
 * a queue of its own (a room's, a user's) that nobody else decides at the same time. Where that is
 * not enough, `tx.expect` makes the unit fail if a statement touches no row, and a violated
 * constraint makes it fail too.
 *
 * The same SQL text runs on SQLite and PostgreSQL.
 *
 * @module
 */

export type Value = string | number | Uint8Array | null

/** A statement and its values, made by the `sql` tag so that no value is ever spliced into SQL. */
export interface Sql {
  readonly texts: readonly string[]
  readonly values: readonly Value[]
}

export function sql(texts: TemplateStringsArray, ...values: Value[]): Sql {
  return { texts, values }
}

/** Something to read from. Reads see every unit whose `write` has resolved. */
export interface Reader {
  all<Row>(statement: Sql): Promise<Row[]>
  /** The first row, or `undefined`. */
  first<Row>(statement: Sql): Promise<Row | undefined>
}

/** A unit being collected: to hold one is the only way to write. */
export interface Writer {
  run(statement: Sql): void
  /** Like `run`, but the unit fails with a `UnitFailed` `expectation` if no row was touched. */
  expect(statement: Sql, otherwise: string): void
  /** Like `run`, for a statement with `RETURNING`; the rows are there once the unit is committed. */
  returning<Row>(statement: Sql): Promise<Row[]>
}

/** A unit was undone: nothing of it is stored. */
export class UnitFailed extends Error {
  /** `unique`: a unique key exists already; `expectation`: a `tx.expect`; `other`: see `cause`. */
  readonly kind: 'unique' | 'expectation' | 'other'

  constructor(kind: UnitFailed['kind'], message: string, options: { cause?: unknown } = {}) {
    super(message, options)
    this.name = 'UnitFailed'
    this.kind = kind
  }
}

export interface Database extends Reader {
  /** Collects a unit and commits it. Resolves once it is durable, with what `collect` gave. */
  write<T>(collect: (tx: Writer) => T): Promise<Awaited<T>>
  close(): Promise<void>
}
