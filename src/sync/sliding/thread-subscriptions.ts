/**
 * What sliding sync says of the threads a user is subscribed to.
 *
 * https://github.com/matrix-org/matrix-spec-proposals/pull/4308
 *
 * @module
 */

import type { JsonObject } from '#protocol/json.ts'
import type { SubscriptionChange, ThreadSubscriptions } from '#users/thread-subscriptions.ts'
import type { AnswerPart } from './extensions.ts'

const limitDefault = 100
const limitMax = 500

/** How many changes are told at once, of how many a client asks for. */
export function subscriptionsLimit(asked: number = limitDefault): number {
  return Math.min(asked, limitMax)
}

/** The last changes since the client asked; `undefined` if there are none. */
export async function subscriptionSection(
  subscriptions: Pick<ThreadSubscriptions, 'changes'>,
  { request, since, to }: AnswerPart,
  limit: number | undefined,
): Promise<JsonObject | undefined> {
  const range = { from: since ?? 0, to, limit: subscriptionsLimit(limit) }
  const { changes, olderUpTo } = await subscriptions.changes(request.userId, range)
  if (changes.length === 0) return undefined
  return {
    ...threadSubscriptionSections(changes),
    ...(olderUpTo !== undefined && { prev_batch: subscriptionsToken(olderUpTo) }),
  }
}

/** Changes, by what they are, room and root of the thread. */
export function threadSubscriptionSections(changes: readonly SubscriptionChange[]): {
  readonly subscribed?: Record<string, JsonObject>
  readonly unsubscribed?: Record<string, JsonObject>
} {
  const [subscribed, unsubscribed] = [true, false].map((wanted) => {
    const some = changes.filter((change) => change.subscribed === wanted)
    const byRoom = Map.groupBy(some, ({ roomId }) => roomId)
    return Object.fromEntries(
      [...byRoom].map(([roomId, ofRoom]) => [
        roomId,
        Object.fromEntries(ofRoom.map((change) => [change.rootId, shown(change)])),
      ]),
    )
  })
  const isSome = (section: object = {}) => Object.keys(section).length > 0
  return {
    ...(subscribed && isSome(subscribed) && { subscribed }),
    ...(unsubscribed && isSome(unsubscribed) && { unsubscribed }),
  }
}

function shown({ subscribed, automatic, stream }: SubscriptionChange): JsonObject {
  return { ...(subscribed && { automatic }), bump_stamp: stream }
}

/** Names a place in the changes: all up to and including this position of the stream. */
export function subscriptionsToken(upTo: number): string {
  return `t${upTo}`
}

/** `undefined` for what is no such token. */
export function readSubscriptionsToken(text: string): number | undefined {
  const [, stream] = /^t(\d{1,15})$/.exec(text) ?? []
  return stream === undefined ? undefined : Number(stream)
}
