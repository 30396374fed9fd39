/**
 * Takes in what other servers push.
 *
 * @module
 */

import { sendTransaction } from '#endpoints/server-server/transactions.ts'
import { answer } from '#http/endpoint.ts'
import type { Server } from '#server.ts'

export const sendTransactionRoute = answer(
  sendTransaction,
  async ({ origin, params, rawBody }, { transactions }: Pick<Server, 'transactions'>) =>
    await transactions.receive(origin, params.txnId, rawBody),
)
