/**
 * Pages back through what changed of the threads a user is subscribed to.
 *
 * @module
 */

import { getThreadSubscriptions } from '#endpoints/proposals/msc4308.ts'
import { answer } from '#http/endpoint.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Server } from '#server.ts'
import { streamOfPos } from '#sync/sliding/connection.ts'
import {
  readSubscriptionsToken,
  subscriptionsLimit,
  subscriptionsToken,
  threadSubscriptionSections,
} from '#sync/sliding/thread-subscriptions.ts'

export const threadSubscriptionChangesRoute = answer(
  getThreadSubscriptions,
  async ({ session: { userId }, query }, needs: Pick<Server, 'streams' | 'users'>) => {
    const settled = needs.streams.settled()
    const { from = subscriptionsToken(settled), to = subscriptionsToken(0) } = query
    const { changes, olderUpTo } = await needs.users.threadSubscriptions.changes(userId, {
      from: readToken('to', to),
      to: Math.min(readToken('from', from), settled),
      limit: subscriptionsLimit(query.limit),
    })
    return {
      ...threadSubscriptionSections(changes),
      ...(olderUpTo !== undefined && { end: subscriptionsToken(olderUpTo) }),
    }
  },
)

/** A token of this endpoint, or a `pos` of sliding sync. */
function readToken(name: string, text: string): number {
  const stream = readSubscriptionsToken(text) ?? streamOfPos(text)
  if (stream !== undefined) return stream
  throw new MatrixError(400, 'M_INVALID_PARAM', `'${name}' is no token of thread subscriptions.`)
}
