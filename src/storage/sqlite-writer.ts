/**
 * The thread that writes to an SQLite file: it migrates the file, then commits the units it is sent
 * in their order, as many together as have arrived while it was waiting for the disk.
 *
 * It owns the file for as long as it lives (`sqlite-lock.ts`), so no second server uses it.
 *
 * An error that is not a unit's own ends the thread, and `sqlite-worker.ts` is told by that.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { Failpoint } from '#io/failpoints.ts'
import { DatabaseRefused } from './database.ts'
import type { Migration } from './migrate.ts'
import { type PackedUnits, unpackUnits } from './packed-units.ts'
import { SqliteConnection } from './sqlite-connection.ts'
import { lockSqlite } from './sqlite-lock.ts'
import { type Step, takeGroup, type UnitOutcome } from './units.ts'

export interface WriterStart {
  readonly path: string
  readonly migrations: readonly Migration[]
  readonly lockWaitMs: number
  readonly failpoint: string | undefined
}

export type ToWriter =
  | {
      /** Statements that were not sent before; they are numbered in the order of being sent. */
      readonly statements: readonly (readonly string[])[]
      readonly units: PackedUnits
    }
  | 'close'

/** Of the next units in order: how many succeeded without rows, or the outcome of each. */
export type FromWriter = 'ready' | number | readonly UnitOutcome[]

/** While units keep arriving, a group still ends here, so that the first need not wait for long. */
const groupStepsMax = 1500

function write(port: MessagePort, start: WriterStart): void {
  const { path, migrations, lockWaitMs } = start
  const failpoint = start.failpoint === undefined ? undefined : new Failpoint(start.failpoint)
  const tell = (message: FromWriter) => port.postMessage(message)
  const lock = lockSqlite(path, lockWaitMs)
  if (lock === undefined) throw new DatabaseRefused(`Another process uses the database ${path}.`)
  const connection = new SqliteConnection(path, { failpoint })
  connection.migrate(migrations, { isOwner: true })
  const statements: (readonly string[])[] = []
  const queue: { readonly steps: readonly Step[] }[] = []
  let closing = false

  const receive = (message: ToWriter) => {
    if (message === 'close') {
      closing = true
      return
    }
    statements.push(...message.statements)
    for (const steps of unpackUnits(message.units, statements)) queue.push({ steps })
  }
  const receiveWaiting = () => {
    for (let next = receiveMessageOnPort(port); next; next = receiveMessageOnPort(port)) {
      receive(next.message)
    }
  }
  port.on('message', (message: ToWriter) => {
    receive(message)
    receiveWaiting()
    while (queue.length > 0) {
      const group = takeGroup(queue, groupStepsMax)
      const outcomes = connection.commitGroup(group.map(({ steps }) => steps))
      tell(isPlain(outcomes) ? outcomes.length : outcomes)
      receiveWaiting()
    }
    if (!closing) return
    connection.close()
    lock.close()
    port.close()
  })
  tell('ready')
}

function isPlain(outcomes: readonly UnitOutcome[]): boolean {
  return outcomes.every((outcome) => outcome.ok && outcome.rows.length === 0)
}

assert(parentPort, 'this file is a thread of sqlite-worker.ts')
write(parentPort, workerData)
