/**
 * Lets users subscribe to threads, and leave them.
 *
 * @module
 */

import {
  deleteThreadSubscription,
  getThreadSubscription,
  putThreadSubscription,
} from '#endpoints/proposals/msc4306.ts'
import { answer } from '#http/endpoint.ts'
import type { EventId, RoomId, UserId } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import { relationOf } from '#protocol/relations.ts'
import type { StoredEvent } from '#rooms/rooms.ts'
import type { Server } from '#server.ts'
import { visibleEvent } from '#sync/context.ts'
import { tryRoomAccess } from '#sync/room-access.ts'
import type { Thread } from '#users/thread-subscriptions.ts'

type Needs = Pick<Server, 'rooms' | 'users'>

export const threadSubscriptionRoutes = [
  answer(getThreadSubscription, async ({ session: { userId }, params }, needs: Needs) => {
    const thread = await threadFor(needs, userId, params)
    const subscription = await needs.users.threadSubscriptions.get(userId, thread)
    if (subscription !== undefined) return subscription
    throw new MatrixError(404, 'M_NOT_FOUND', 'You are not subscribed to this thread.')
  }),
  answer(putThreadSubscription, async ({ session: { userId }, params, body }, needs: Needs) => {
    const thread = await threadFor(needs, userId, params)
    const { automatic: causeId } = body
    const cause = causeId && (await causeIn(needs, userId, thread, causeId))
    await needs.users.threadSubscriptions.subscribe(userId, thread, cause)
    return {}
  }),
  answer(deleteThreadSubscription, async ({ session: { userId }, params }, needs: Needs) => {
    const thread = await threadFor(needs, userId, params)
    await needs.users.threadSubscriptions.unsubscribe(userId, thread)
    return {}
  }),
]

/** If the thread does not exist, or if the user does not have access to it, returns 404. */
async function threadFor(
  needs: Needs,
  userId: UserId,
  { roomId, eventId }: { readonly roomId: RoomId; readonly eventId: EventId },
): Promise<Thread> {
  await eventSeenBy(needs, userId, roomId, eventId)
  return { roomId, rootId: eventId }
}

async function causeIn(
  needs: Needs,
  userId: UserId,
  { roomId, rootId }: Thread,
  causeId: EventId,
): Promise<{ readonly stream: number }> {
  const { pdu, position } = await eventSeenBy(needs, userId, roomId, causeId)
  const relation = relationOf(pdu.content)
  if (relation?.relType === 'm.thread' && relation.parentId === rootId && position !== undefined) {
    return position
  }
  const message = "The event of 'automatic' is not in this thread."
  throw new MatrixError(400, 'IO.ELEMENT.MSC4306.M_NOT_IN_THREAD', message)
}

async function eventSeenBy(
  { rooms }: Needs,
  userId: UserId,
  roomId: RoomId,
  eventId: EventId,
): Promise<StoredEvent> {
  const access = await tryRoomAccess(rooms, userId, roomId)
  if (access === undefined) throw new MatrixError(404, 'M_NOT_FOUND', 'There is no such event.')
  return (await visibleEvent(rooms, access, eventId)).stored
}
