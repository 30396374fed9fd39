/**
 * A unit on its way: collected synchronously, handed to a database's writer as plain values (they
 * cross to another thread), and settled once the writer has said what became of it.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { type Parameter, type Sql, UnitFailed, type Value, type Writer } from './database.ts'

export type Row = Record<string, Value>

/** One statement of a unit. */
export interface Step {
  readonly texts: readonly string[]
  readonly values: readonly Parameter[]
  /** With this, the unit fails with this message if the statement touches no row. */
  readonly otherwise?: string
  readonly returning?: true
}

/** What became of a unit: the rows of its `returning` steps in order, or why it was undone. */
export type UnitOutcome =
  | { readonly ok: true; readonly rows: readonly Row[][] }
  | {
      readonly ok: false
      readonly kind: UnitFailed['kind']
      readonly message: string
      readonly cause?: unknown
    }

/** A unit that waits for its outcome. */
export interface PendingUnit {
  readonly steps: readonly Step[]
  settle(outcome: UnitOutcome): void
  /** For a unit whose outcome is not known. */
  fail(error: Error): void
}

/** Collects a unit. `done` settles when the unit is settled; nothing is pending if `collect` throws. */
export function collectUnit<T>(collect: (tx: Writer) => T): {
  readonly unit: PendingUnit
  readonly done: Promise<Awaited<T>>
} {
  const steps: Step[] = []
  const waiting: PromiseWithResolvers<Row[]>[] = []
  let open = true
  const add = ({ texts, values }: Sql, extra: Omit<Step, 'texts' | 'values'>) => {
    assert(open, 'A unit is collected synchronously: its writer was used after that.')
    steps.push({ texts, values, ...extra })
  }
  const given = collect({
    run: (statement) => add(statement, {}),
    expect: (statement, otherwise) => add(statement, { otherwise }),
    returning: <R>(statement: Sql) => {
      add(statement, { returning: true })
      const rows = Promise.withResolvers<Row[]>()
      waiting.push(rows)
      return rows.promise as Promise<R[]>
    },
  })
  open = false
  const { promise: done, resolve, reject } = Promise.withResolvers<Awaited<T>>()
  const fail = (error: Error) => {
    // `done` tells of the failure; nobody needs to hear of it a second time.
    for (const rows of waiting) {
      rows.promise.catch(() => {})
      rows.reject(error)
    }
    Promise.resolve(given).catch(() => {})
    reject(error)
  }
  const settle = (outcome: UnitOutcome) => {
    if (!outcome.ok) {
      fail(failureOf(outcome))
      return
    }
    for (const [index, rows] of waiting.entries()) rows.resolve(outcome.rows[index] ?? [])
    resolve(given as Awaited<T>)
  }
  return { unit: { steps, settle, fail }, done }
}

function failureOf({ kind, message, cause }: UnitOutcome & { ok: false }): UnitFailed {
  return new UnitFailed(kind, message, { cause })
}

/** Takes the units that are to be committed together: at least one, and about `stepsMax` steps. */
export function takeGroup<Unit extends { readonly steps: readonly unknown[] }>(
  queue: Unit[],
  stepsMax: number,
): Unit[] {
  let steps = 0
  let count = 0
  for (const unit of queue) {
    steps += unit.steps.length + 1
    if (count > 0 && steps > stepsMax) break
    count += 1
  }
  return queue.splice(0, count)
}

/** Only units write: whatever else is put as a question is our own mistake. */
export function assertReads({ texts }: Sql): void {
  const text = texts[0] ?? ''
  if (/^\s*(?:SELECT|WITH|VALUES)\b/.test(text)) return
  assert.fail(`not a statement for reading: ${text.trim()}`)
}
