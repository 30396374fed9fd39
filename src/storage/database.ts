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
 * The same SQL text runs on SQLite and PostgreSQL. To keep it so:
 * - Tables are made by `migrations/`, with the column types that `migrate.ts` lists. There are no
 *   booleans: 0 and 1 in a `BIGINT`. Both databases refuse a value of another type.
 * - Integers up to 2⁵³ come back as `number`, bytes as `Uint8Array`, rows as plain objects.
 * - `INSERT … ON CONFLICT (…) DO UPDATE SET x = excluded.x`, `DO NOTHING`, `RETURNING`, row values
 *   (`(a, b) > (${a}, ${b})`), `LIMIT ${n} OFFSET ${m}`, `WITH`, window functions: as they are.
 *   `INSERT … SELECT … ON CONFLICT` needs a `WHERE` (`WHERE TRUE`) for SQLite's parser. Not
 *   `INSERT OR`, `REPLACE`, `rowid`, `ILIKE`, `::type`, nor functions of one of the two.
 * - In `DO UPDATE` and in joins, columns are qualified by their table.
 * - A set of values is one parameter: `WHERE event_id IN ${texts(ids)}`, also `integers`, `bytes`.
 *   `CROSS JOIN ${texts(ids)} AS ids` makes rows of them, with one column: `ids.value`.
 * - PostgreSQL infers a parameter's type from its place: beside a column or in `VALUES` all is
 *   well; alone or in arithmetic, write `CAST(${n} AS BIGINT)`. The same for sums:
 *   `CAST(SUM(x) AS BIGINT)`. Only columns that are grouped by, or aggregated, can be selected.
 * - Text is ordered by code point in both; it may hold any character, U+0000 too. A lone surrogate
 *   is stored as U+FFFD. SQL functions of text (`length`, `LIKE`) are not for text with U+0000.
 * - `ORDER BY` says `NULLS FIRST` or `LAST` where there can be any.
 *
 * @module
 */

import assert from 'node:assert/strict'

export type Value = string | number | Uint8Array | null

/** A set of values as one parameter, for `IN`. Made by `texts`, `integers` and `bytes`. */
export interface List {
  readonly list: 'text' | 'integer' | 'bytes'
  readonly values: readonly (string | number | Uint8Array)[]
}

export type Parameter = Value | List

/** A statement and its values, made by the `sql` tag so that no value is ever spliced into SQL. */
export interface Sql {
  readonly texts: readonly string[]
  readonly values: readonly Parameter[]
}

/** Makes a statement. Where a value is another `Sql`, its text becomes part of this one's. */
export function sql(template: TemplateStringsArray, ...values: (Parameter | Sql)[]): Sql {
  for (const value of values) {
    if (isSql(value)) return joined(template, values)
    assertStorable(value)
  }
  return { texts: template, values: values as Parameter[] }
}

/** The members of a set of texts: `WHERE type IN ${texts(types)}`. It may be empty. */
export function texts(values: readonly string[]): List {
  return { list: 'text', values }
}

export function integers(values: readonly number[]): List {
  return { list: 'integer', values }
}

export function bytes(values: readonly Uint8Array[]): List {
  return { list: 'bytes', values }
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
  /** `unique`: a unique key exists already; `expectation`: a `tx.expect`; `full`: the disk is full; `other`: see `cause`. */
  readonly kind: 'unique' | 'expectation' | 'full' | 'other'

  constructor(kind: UnitFailed['kind'], message: string, options: { cause?: unknown } = {}) {
    super(message, options)
    this.name = 'UnitFailed'
    this.kind = kind
  }

  /** Whether it lies with the database, so that the same may work later. */
  get isDatabases(): boolean {
    return this.kind === 'full' || this.kind === 'other'
  }
}

/**
 * The database itself failed (a disk, a connection that broke during a commit): whether the unit is
 * stored is not known until the database is opened again. The process ought to end.
 */
export class DatabaseFailed extends Error {
  override readonly name = 'DatabaseFailed'
}

/** The database cannot be used by this program as it is; the message says why and what to do. */
export class DatabaseRefused extends Error {
  override readonly name = 'DatabaseRefused'
}

export interface Database extends Reader {
  /** Collects a unit and commits it. Resolves once it is durable, with what `collect` gave. */
  write<T>(collect: (tx: Writer) => T): Promise<Awaited<T>>
  close(): Promise<void>
}

/** A template with the texts of those of its parts that are statements, and what they make together. */
interface Joined {
  readonly parts: readonly (readonly string[] | undefined)[]
  readonly texts: readonly string[]
}

/** By template. Statements are told apart by the identity of their texts, so equal ones must be the same. */
const joinedTexts = new WeakMap<readonly string[], Joined[]>()

function joined(template: readonly string[], values: readonly (Parameter | Sql)[]): Sql {
  const known = joinedTexts.getOrInsertComputed(template, () => [])
  let made = known.find(({ parts }) => values.every((value, at) => textsOf(value) === parts[at]))
  if (made === undefined) {
    const parts = values.map(textsOf)
    made = { parts, texts: spliced(template, parts) }
    known.push(made)
  }
  const parameters: Parameter[] = []
  for (const value of values) {
    if (isSql(value)) {
      parameters.push(...value.values)
    } else {
      assertStorable(value)
      parameters.push(value)
    }
  }
  return { texts: made.texts, values: parameters }
}

/** The texts between parameters, where some of the values are texts themselves. */
function spliced(template: readonly string[], parts: Joined['parts']): string[] {
  const texts = [template[0] ?? '']
  const append = (text: string) => texts.push((texts.pop() ?? '') + text)
  for (const [index, part] of parts.entries()) {
    const next = template[index + 1] ?? ''
    if (part === undefined) {
      texts.push(next)
    } else {
      append(part[0] ?? '')
      texts.push(...part.slice(1))
      append(next)
    }
  }
  return texts
}

function textsOf(value: Parameter | Sql): readonly string[] | undefined {
  return isSql(value) ? value.texts : undefined
}

function isSql(part: Parameter | Sql): part is Sql {
  return part !== null && typeof part === 'object' && 'texts' in part
}

/** What the databases would store as something else, or refuse late, is our own mistake. */
function assertStorable(value: Parameter): void {
  if (typeof value === 'string' || value === null || Number.isFinite(value)) return
  if (typeof value === 'number') assert.fail(`${value} in SQL`)
  assert(value instanceof Uint8Array || value?.list !== undefined, `${typeof value} in SQL`)
}
