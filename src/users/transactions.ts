/**
 * Makes requests with a transaction ID idempotent: a repeated one sends nothing and gives the event
 * of the first, also while the first is still under way, and also after a crash.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#transaction-identifiers
 *
 * @module
 */

import type { Clock } from '#io/clock.ts'
import type { EventId } from '#protocol/identifiers/ids.ts'
import type { LocalEvent } from '#rooms/rooms.ts'
import type { Database } from '#storage/database.ts'
import {
  addTransaction,
  deleteTransactionsBefore,
  eventOfTransaction,
  type TransactionKey,
} from '#storage/transactions.ts'

/** How long a device is told of, and kept from, what it sent. */
const keptMs = 7 * 24 * 3_600_000

/** Old ones are deleted once in so many. */
const sendsBetweenDeletions = 1_000

export interface Transactions {
  /** Sends an event unless this has been done. `send` hands `alongside` on to the rooms. */
  once(
    key: TransactionKey,
    send: (alongside: NonNullable<LocalEvent['alongside']>) => Promise<EventId>,
  ): Promise<EventId>
}

export function createTransactions({
  db,
  clock,
}: {
  readonly db: Database
  readonly clock: Pick<Clock, 'now'>
}): Transactions {
  const underWay = new Map<string, Promise<EventId>>()
  let sends = 0
  const run = async (key: TransactionKey, send: Parameters<Transactions['once']>[1]) => {
    const known = await eventOfTransaction(db, key)
    if (known !== undefined) return known
    sends += 1
    return await send((tx, eventId) => {
      const now = clock.now()
      addTransaction(tx, key, { eventId, now })
      if (sends % sendsBetweenDeletions === 1) deleteTransactionsBefore(tx, now - keptMs)
    })
  }
  return {
    once: async (key, send) => {
      const name = JSON.stringify([key.userId, key.deviceId, key.path, key.txnId])
      const first = underWay.get(name)
      if (first !== undefined) return await first
      const sending = run(key, send)
      underWay.set(name, sending)
      try {
        return await sending
      } finally {
        underWay.delete(name)
      }
    },
  }
}
