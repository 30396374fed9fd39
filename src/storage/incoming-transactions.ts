/**
 * The answers to the newest transactions of each server.
 *
 * A server sends its next transaction only once the last one was answered with 200, so that few need
 * to be remembered.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#transactions
 *
 * @module
 */

import type { ServerName } from '#protocol/identifiers/ids.ts'
import { type Reader, sql, type Writer } from './database.ts'

/** How many transactions of one server are remembered. */
const rememberedMax = 20

/** What a transaction was answered, as JSON; `undefined` if it is new to us. */
export async function transactionAnswer(
  db: Reader,
  origin: ServerName,
  txnId: string,
): Promise<string | undefined> {
  const row = await db.first<{ answer_json: string }>(sql`
    SELECT answer_json FROM incoming_transactions WHERE origin = ${origin} AND txn_id = ${txnId}
  `)
  return row?.answer_json
}

/** Remembers what a transaction was answered, and forgets old ones of the same server. */
export function rememberTransaction(
  tx: Writer,
  transaction: {
    readonly origin: ServerName
    readonly txnId: string
    readonly answerJson: string
    readonly now: number
  },
): void {
  const { origin, txnId, answerJson, now } = transaction
  tx.run(sql`
    INSERT INTO incoming_transactions (origin, txn_id, received_ts, answer_json)
    VALUES (${origin}, ${txnId}, ${now}, ${answerJson}) ON CONFLICT DO NOTHING
  `)
  tx.run(sql`
    DELETE FROM incoming_transactions WHERE origin = ${origin} AND txn_id NOT IN (
      SELECT txn_id FROM incoming_transactions WHERE origin = ${origin}
      ORDER BY received_ts DESC, txn_id LIMIT ${rememberedMax}
    )
  `)
}
