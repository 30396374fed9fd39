/**
 * Makes requests with a transaction ID idempotent: a repeated one sends nothing and gives the event
 * of the first, also while the first is still under way, and also after a crash.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#transaction-identifiers
 *
 * @module
 */

import type { Clock } from '#io/clock.ts'
import type { Log } from '#io/log.ts'
import type { EventId } from '#protocol/identifiers/ids.ts'
import type { Database, Writer } from '#storage/database.ts'
import {
  addTransaction,
  deleteTransactionsBefore,
  idOfTransaction,
  type TransactionKey,
} from '#storage/transactions.ts'
import { MetTransactions, nameOf } from './met-transactions.ts'

/** How long a device is told of, and kept from, what it sent. */
const keptMs = 7 * 24 * 3_600_000

/** Old ones are deleted once in so many. */
const sendsBetweenDeletions = 1_000

/** Statements to be durable with what was done, and where in the stream that is. */
type Alongside<Id> = (tx: Writer, id: Id, stream?: number) => void

export interface Transactions {
  /**
   * Sends an event unless this has been done. `send` hands `alongside` on to the rooms. For what has an
   * ID of another kind the key has a path of its own.
   */
  once<Id extends string = EventId>(
    key: TransactionKey,
    send: (alongside: Alongside<Id>) => Promise<Id>,
  ): Promise<Id>
}

export function createTransactions({
  db,
  clock,
  log,
}: {
  readonly db: Database
  readonly clock: Pick<Clock, 'now' | 'sleep'>
  readonly log: Pick<Log, 'warn'>
}): Transactions {
  const underWay = new Map<string, Promise<string>>()
  const met = new MetTransactions()
  met.read(db, clock).catch((error: unknown) => {
    log.warn('the transactions of clients were not read, and each new one is looked for', { error })
  })
  let sends = 0
  const run = async <Id extends string>(
    key: TransactionKey,
    name: string,
    send: (alongside: Alongside<Id>) => Promise<Id>,
  ): Promise<Id> => {
    const known = met.mayHave(name) ? await idOfTransaction(db, key) : undefined
    if (known !== undefined) return known as Id
    sends += 1
    return await send((tx, id, stream) => {
      const now = clock.now()
      met.add(name)
      addTransaction(tx, key, { id, now, stream })
      if (sends % sendsBetweenDeletions === 1) deleteTransactionsBefore(tx, now - keptMs)
    })
  }
  return {
    once: async <Id extends string>(
      key: TransactionKey,
      send: (alongside: Alongside<Id>) => Promise<Id>,
    ) => {
      const name = nameOf(key)
      const first = underWay.get(name)
      if (first !== undefined) return (await first) as Id
      const sending = run(key, name, send)
      underWay.set(name, sending)
      try {
        return await sending
      } finally {
        underWay.delete(name)
      }
    },
  }
}
