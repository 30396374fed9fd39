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
import { type Reader, sql, texts, type Writer } from './database.ts'

/** What a request is known by. The scope is a single device and a single HTTP endpoint. */
export interface TransactionKey {
  readonly userId: UserId
  readonly deviceId: string
  /** The path of the request, without the transaction ID. */
  readonly path: string
  readonly txnId: string
}

/** Fails the unit as `unique` if the transaction is known already. */
export function addTransaction(
  tx: Writer,
  { userId, deviceId, path, txnId }: TransactionKey,
  { id, now }: { readonly id: string; readonly now: number },
): void {
  tx.run(sql`
    INSERT INTO transactions (user_id, device_id, path, txn_id, event_id, sent_ts)
    VALUES (${userId}, ${deviceId}, ${path}, ${txnId}, ${id}, ${now})
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

/** The transaction IDs which a device gave to these events. */
export async function transactionIdsOf(
  db: Reader,
  { userId, deviceId }: Pick<TransactionKey, 'userId' | 'deviceId'>,
  eventIds: readonly EventId[],
): Promise<Map<EventId, string>> {
  const rows = await db.all<{ event_id: EventId; txn_id: string }>(sql`
    SELECT event_id, txn_id FROM transactions
    WHERE event_id IN ${texts(eventIds)} AND user_id = ${userId} AND device_id = ${deviceId}
  `)
  return new Map(rows.map((row) => [row.event_id, row.txn_id]))
}

export function deleteTransactionsBefore(tx: Writer, sentTs: number): void {
  tx.run(sql`DELETE FROM transactions WHERE sent_ts < ${sentTs}`)
}
