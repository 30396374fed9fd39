/**
 * The transaction IDs under which clients sent events. They make a repeated request give the first
 * one's event, and are shown to the device that sent it.
 *
 * A row is written in the commit of its event.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#transaction-identifiers
 *
 * @module
 */

import type { EventId, UserId } from '#protocol/identifiers/ids.ts'
import { integers, type Reader, sql, type Writer } from './database.ts'

/** What a request is known by. The scope is a single device and a single HTTP endpoint. */
export interface TransactionKey {
  readonly userId: UserId
  readonly deviceId: string
  /** The path of the request, without the transaction ID. */
  readonly path: string
  readonly txnId: string
}

/** What a transaction led to. */
interface Sent {
  readonly id: string
  readonly now: number
  /** The position of the event in the stream; `undefined` if there is none yet. */
  readonly stream: number | undefined
}

/** Fails the unit as `unique` if the transaction is known already. */
export function addTransaction(
  tx: Writer,
  { userId, deviceId, path, txnId }: TransactionKey,
  { id, now, stream }: Sent,
): void {
  tx.run(sql`
    INSERT INTO transactions (user_id, device_id, path, txn_id, event_id, sent_ts, stream)
    VALUES (${userId}, ${deviceId}, ${path}, ${txnId}, ${id}, ${now},
      ${stream ?? null})
  `)
}

/** The event that was sent under a transaction ID, or what has an ID in its place. */
export async function idOfTransaction(
  db: Reader,
  { userId, deviceId, path, txnId }: TransactionKey,
): Promise<string | undefined> {
  const row = await db.first<{ event_id: string }>(sql`
    SELECT event_id FROM transactions
    WHERE user_id = ${userId} AND device_id = ${deviceId} AND path = ${path} AND txn_id = ${txnId}
  `)
  return row?.event_id
}

/** The transaction IDs which a device gave to the events at these positions of the stream. */
export async function transactionIdsOf(
  db: Reader,
  { userId, deviceId }: Pick<TransactionKey, 'userId' | 'deviceId'>,
  streams: readonly number[],
): Promise<Map<EventId, string>> {
  const rows = await db.all<{ event_id: EventId; txn_id: string }>(sql`
    SELECT event_id, txn_id FROM transactions
    WHERE stream IN ${integers(streams)} AND user_id = ${userId} AND device_id = ${deviceId}
  `)
  return new Map(rows.map((row) => [row.event_id, row.txn_id]))
}

/** The first ones after one, in an order of their own. */
export async function nextTransactions(
  db: Reader,
  after: TransactionKey | undefined,
  limit: number,
): Promise<TransactionKey[]> {
  const { userId = '', deviceId = '', path = '', txnId = '' } = after ?? {}
  const rows = await db.all<Record<'user_id' | 'device_id' | 'path' | 'txn_id', string>>(sql`
    SELECT user_id, device_id, path, txn_id FROM transactions
    WHERE (user_id, device_id, path, txn_id) > (${userId}, ${deviceId}, ${path}, ${txnId})
    ORDER BY user_id, device_id, path, txn_id LIMIT ${limit}
  `)
  return rows.map(({ user_id, device_id, path, txn_id }) => ({
    userId: user_id as UserId,
    deviceId: device_id,
    path,
    txnId: txn_id,
  }))
}

export function deleteTransactionsBefore(tx: Writer, sentTs: number): void {
  tx.run(sql`DELETE FROM transactions WHERE sent_ts < ${sentTs}`)
}
