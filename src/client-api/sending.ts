/**
 * Sends events: messages, state, redactions.
 *
 * @module
 */

import { redactEvent } from '#endpoints/client-server/redaction.ts'
import { sendMessage } from '#endpoints/client-server/room-send.ts'
import { setRoomStateWithKey } from '#endpoints/client-server/room-state.ts'
import { delayParameter } from '#endpoints/proposals/msc4140.ts'
import { answer, type Session } from '#http/endpoint.ts'
import { serverNameOf } from '#protocol/identifiers/common-format.ts'
import { parseEventId } from '#protocol/identifiers/event-id.ts'
import type { EventId, RoomId, UserId } from '#protocol/identifiers/ids.ts'
import { parseUserId } from '#protocol/identifiers/user-id.ts'
import type { JsonObject } from '#protocol/json.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Server } from '#server.ts'
import { roomAccess } from '#sync/room-access.ts'
import { checkCanonicalAlias } from './canonical-alias.ts'
import { checkGuestJoins } from './joining.ts'
import { scheduleEvent } from './msc4140.ts'
import { stickyIn } from './msc4354.ts'
import { hasLevel } from './power.ts'
import { checkRelation } from './relations.ts'
import { checkSuspendedSending, checkSuspendedState } from './suspension.ts'

export const sendMessageRoute = answer(
  sendMessage,
  async (
    { params: { roomId, eventType, txnId }, query, body, session },
    needs: Pick<Server, 'clientTransactions' | 'db' | 'delayedEvents' | 'rooms'>,
  ) => {
    const { userId, deviceId } = session
    const path = `rooms/${roomId}/send/${eventType}`
    const redaction = eventType === 'm.room.redaction' ? redactsOf(body) : undefined
    const content = redaction?.content ?? body
    await checkSuspendedSending(needs, session, { roomId, redacts: redaction?.redacts })
    const event = { sender: userId, type: eventType, content, ...stickyIn(query) }
    const delayMs = query[delayParameter]
    if (delayMs !== undefined) {
      const delayed = { ...event, roomId, stateKey: undefined, delayMs }
      const key = { userId, deviceId, path: `delayed ${path}`, txnId }
      const delay_id = await needs.clientTransactions.once<string>(key, (alongside) =>
        scheduleEvent(needs, { ...delayed, alongside }),
      )
      return { delay_id }
    }
    const event_id = await needs.clientTransactions.once(
      { userId, deviceId, path, txnId },
      async (alongside) => {
        await checkRelation(needs, { roomId, ...event })
        return await needs.rooms.send(roomId, {
          ...event,
          ...(redaction && { redacts: redaction.redacts }),
          alongside,
        })
      },
    )
    return { event_id }
  },
)

export const redactEventRoute = answer(
  redactEvent,
  async (
    { params: { roomId, eventId, txnId }, body, session },
    { rooms, clientTransactions }: Pick<Server, 'rooms' | 'clientTransactions'>,
  ) => {
    const { userId, deviceId } = session
    await checkSuspendedSending({ rooms }, session, { roomId, redacts: eventId })
    const path = `rooms/${roomId}/redact/${eventId}`
    const { reason } = body
    const event_id = await clientTransactions.once(
      { userId, deviceId, path, txnId },
      async (alongside) => {
        await checkRedactable({ rooms }, { roomId, userId, eventId })
        return await rooms.send(roomId, {
          sender: userId,
          type: 'm.room.redaction',
          content: reason === undefined ? {} : { reason },
          redacts: eventId,
          alongside,
        })
      },
    )
    return { event_id }
  },
)

export const setRoomStateRoute = answer(
  setRoomStateWithKey,
  async (
    { params: { roomId, eventType, stateKey }, query, body, session },
    needs: Pick<Server, 'delayedEvents' | 'aliases' | 'rooms' | 'serverName' | 'users'>,
  ) => {
    const { rooms } = needs
    const { userId } = session
    checkSuspendedState(session, { type: eventType, stateKey, content: body })
    const delayMs = query[delayParameter]
    if (delayMs !== undefined) {
      const event = { sender: userId, roomId, type: eventType, stateKey, content: body, delayMs }
      return { delay_id: await scheduleEvent(needs, { ...event, ...stickyIn(query) }) }
    }
    if (eventType === 'm.room.canonical_alias') await checkCanonicalAlias(needs, roomId, body)
    if (eventType === 'm.room.member') {
      const event_id = await sendMembership(needs, session, { roomId, stateKey, body })
      if (event_id !== undefined) return { event_id }
    }
    const event_id = await rooms.send(roomId, {
      sender: userId,
      type: eventType,
      state_key: stateKey,
      content: eventType === 'm.room.member' ? withoutAuthorisation(body) : body,
      ...stickyIn(query),
    })
    return { event_id }
  },
)

/**
 * In rooms with a version older than 11 servers MUST move the `redacts` property inside the `content`
 * to the top level of the event. The rooms put it where the version has it.
 */
function redactsOf(body: JsonObject): { redacts: EventId; content: JsonObject } {
  const { redacts, ...content } = body
  const eventId = typeof redacts === 'string' ? parseEventId(redacts) : undefined
  if (eventId !== undefined) return { redacts: eventId, content }
  throw new MatrixError(400, 'M_INVALID_PARAM', "A redaction's 'redacts' must be an event ID.")
}

/**
 * Any user may send redactions for their own events in the room. If the user's power level is also
 * greater than or equal to the redact power level of the room, the user may redact events sent by
 * other users.
 */
async function checkRedactable(
  { rooms }: Pick<Server, 'rooms'>,
  { roomId, userId, eventId }: { roomId: RoomId; userId: UserId; eventId: EventId },
): Promise<void> {
  await roomAccess(rooms, userId, roomId)
  const event = await rooms.event(roomId, eventId)
  if (event === undefined) {
    throw new MatrixError(404, 'M_NOT_FOUND', 'There is no such event in this room.')
  }
  if (event.pdu.sender === userId || (await hasLevel({ rooms }, { roomId, userId }, 'redact')))
    return
  throw new MatrixError(403, 'M_FORBIDDEN', "You may not redact other users' events in this room.")
}

/**
 * Who let a user in is said of their join alone. Clients that change a name in one room send all that
 * the join said, and what another server would have to sign again is not theirs to say.
 */
function withoutAuthorisation(content: JsonObject): JsonObject {
  const { join_authorised_via_users_server: _, ...rest } = content
  return rest
}

/**
 * Membership events which another server has a part in go the way of their own operations. Gives
 * `undefined` for those that are sent like any state.
 */
async function sendMembership(
  { rooms, serverName, users }: Pick<Server, 'rooms' | 'serverName' | 'users'>,
  session: Session,
  change: {
    readonly roomId: RoomId
    readonly stateKey: string
    readonly body: JsonObject
  },
): Promise<EventId | undefined> {
  const { roomId, stateKey, body } = change
  const { userId: sender } = session
  const { membership, ...content } = body
  const target = parseUserId(stateKey)
  if (target === undefined) {
    throw new MatrixError(400, 'M_INVALID_PARAM', "The state key of 'm.room.member' is a user ID.")
  }
  const own = await rooms.membership(sender, roomId)
  const isFirstJoin = membership === 'join' && target === sender && own?.membership !== 'join'
  if (isFirstJoin) {
    await checkGuestJoins({ rooms }, session, roomId)
    return await rooms.join({ userId: sender, roomId, via: [], content })
  }
  const isRemoteInvite = membership === 'invite' && serverNameOf(target) !== serverName
  if (isRemoteInvite) return await rooms.invite({ sender, target, roomId, content })
  if (membership === 'invite') await users.wishes.assertInvitable(target, sender)
  return undefined
}
