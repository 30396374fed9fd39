/**
 * What users do in rooms without sending events: reading and typing.
 *
 * @module
 */

import { setReadMarker } from '#endpoints/client-server/read-markers.ts'
import { postReceipt } from '#endpoints/client-server/receipts.ts'
import { setTyping } from '#endpoints/client-server/typing.ts'
import { answer } from '#http/endpoint.ts'
import type { EventId, RoomId } from '#protocol/identifiers/ids.ts'
import type { Json } from '#protocol/json.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import { threadOf } from '#push/threads.ts'
import type { Server } from '#server.ts'
import { requireJoined } from '#sync/room-access.ts'
import { checkOwnUser } from './own-user.ts'

type Needs = Pick<Server, 'receipts' | 'rooms' | 'users'>

export const postReceiptRoute = answer(
  postReceipt,
  async ({ params, body, session: { userId } }, needs: Needs) => {
    const { roomId, receiptType, eventId } = params
    const threadId = threadIn(receiptType, body.thread_id)
    await requireJoined(needs.rooms, userId, roomId)
    await checkEvent(needs, roomId, eventId)
    if (threadId !== undefined) await checkThread(needs, { roomId, eventId, threadId })
    if (receiptType === 'm.fully_read') {
      await needs.users.accountData.markFullyRead(userId, roomId, eventId)
    } else {
      await needs.receipts.set(userId, roomId, { type: receiptType, eventId, threadId })
    }
    return {}
  },
)

export const setReadMarkerRoute = answer(
  setReadMarker,
  async ({ params: { roomId }, body, session: { userId } }, needs: Needs) => {
    await requireJoined(needs.rooms, userId, roomId)
    const fullyRead = body['m.fully_read']
    const read = { 'm.read': body['m.read'], 'm.read.private': body['m.read.private'] }
    for (const eventId of [fullyRead, ...Object.values(read)]) {
      if (eventId !== undefined) await checkEvent(needs, roomId, eventId)
    }
    if (fullyRead !== undefined) {
      await needs.users.accountData.markFullyRead(userId, roomId, fullyRead)
    }
    for (const type of ['m.read', 'm.read.private'] as const) {
      const { [type]: eventId } = read
      if (eventId === undefined) continue
      await needs.receipts.set(userId, roomId, { type, eventId, threadId: undefined })
    }
    return {}
  },
)

export const setTypingRoute = answer(
  setTyping,
  async (
    { params: { roomId, userId }, body, session },
    { rooms, typing }: Pick<Server, 'rooms' | 'typing'>,
  ) => {
    checkOwnUser(session, userId)
    await requireJoined(rooms, userId, roomId)
    typing.set(session.userId, roomId, body.typing && { timeoutMs: body.timeout })
    return {}
  },
)

/** The thread a receipt belongs to, if any. */
function threadIn(receiptType: string, thread: Json | undefined): string | undefined {
  if (thread === undefined) return undefined
  const wrong = (message: string) => new MatrixError(400, 'M_INVALID_PARAM', message)
  if (typeof thread !== 'string' || thread === '' || thread.length > 255) {
    throw wrong("'thread_id' must be a string that is not empty.")
  }
  // It is provided for an incompatible receipt type.
  if (receiptType === 'm.fully_read') throw wrong("'m.fully_read' belongs to no thread.")
  if (thread !== 'main' && !thread.startsWith('$')) {
    throw wrong("'thread_id' must be 'main' or the ID of an event.")
  }
  return thread
}

/** The `event_id` must be related to the `thread_id`. A root is in the main timeline and begins its thread. */
async function checkThread(
  { rooms }: Needs,
  place: { readonly roomId: RoomId; readonly eventId: EventId; readonly threadId: string },
): Promise<void> {
  const { roomId, eventId, threadId } = place
  const find = async (id: EventId) => (await rooms.event(roomId, id))?.pdu
  const event = await find(eventId)
  if (eventId === threadId || event === undefined) return
  if ((await threadOf(event, find)) === threadId) return
  throw new MatrixError(400, 'M_INVALID_PARAM', "The event is not in the thread of 'thread_id'.")
}

async function checkEvent({ rooms }: Needs, roomId: RoomId, eventId: EventId): Promise<void> {
  if ((await rooms.event(roomId, eventId)) !== undefined) return
  throw new MatrixError(404, 'M_NOT_FOUND', 'There is no such event in this room.')
}
