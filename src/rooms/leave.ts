/**
 * Leaving a room, rejecting an invite, taking back a knock.
 *
 * Where this server is not in the room, a server that is must carry the leave into it. A user gets rid
 * of an invite in any case: if no server helps, the invite ends on this server alone.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#leaving-rooms-rejecting-invites
 *
 * @module
 */

import { encodeBase64 } from '#protocol/base64.ts'
import { serverNameOf } from '#protocol/identifiers/common-format.ts'
import type { ServerName, UserId } from '#protocol/identifiers/ids.ts'
import { parseUserId } from '#protocol/identifiers/user-id.ts'
import type { JsonObject } from '#protocol/json.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Pdu } from '#protocol/pdu.ts'
import { eventOfTemplate, helpersOf, helpOfOne } from './own-membership.ts'
import type { RoomParts } from './parts.ts'
import type { LocalMembership, Rooms } from './rooms.ts'

export type LeaveRequest = Parameters<Rooms['leave']>[0]

type End = Pick<Pdu, 'event_id' | 'sender' | 'origin_server_ts' | 'content'>

/** Asking more servers would make the user wait, and the invite ends anyhow. */
const helpersMax = 3

export async function leave(parts: RoomParts, request: LeaveRequest): Promise<void> {
  const { rooms, engine } = parts
  const { roomId, userId } = request
  const membership = await rooms.membership(userId, roomId)
  if (membership === undefined) {
    throw new MatrixError(404, 'M_NOT_FOUND', 'You have nothing to do with this room.')
  }
  const isInside = membership.serverInRoom && !(await engine.isInByOldBranch(roomId, userId))
  if (isInside) {
    await engine.send(roomId, {
      sender: userId,
      type: 'm.room.member',
      state_key: userId,
      content: { ...request.content, membership: 'leave' },
    })
    return
  }
  switch (membership.membership) {
    // Who knows the whole state knows whether there is anything to leave.
    case 'join':
    case 'invite':
    case 'knock':
      await leaveFromOutside(parts, request, membership)
      return
    case 'ban':
      throw new MatrixError(403, 'M_FORBIDDEN', 'You are banned from this room.')
    default:
    // Who is out is out: a repeated request changes nothing.
  }
}

/**
 * If no server helps, it ends on this server alone: then there is no event in the room but the one that it
 * ends. The user's clients are told of one all the same, or they would go on showing the invite.
 */
async function leaveFromOutside(
  parts: RoomParts,
  request: LeaveRequest,
  membership: LocalMembership,
): Promise<void> {
  const { roomId, userId } = request
  const { clock, random } = parts
  const event = await leaveThroughOthers(parts, request, membership)
  const alone = () => ({
    event_id: `$${encodeBase64(random.bytes(32), 'base64url')}` as const,
    sender: userId,
    origin_server_ts: clock.now(),
    content: { ...request.content, membership: 'leave' },
  })
  await parts.engine.recordOutside({
    roomId,
    userId,
    membership: 'leave',
    event: event ?? { event_id: membership.eventId, sender: userId },
    strippedState: [endOutside(userId, event ?? alone())],
  })
}

/** What the clients of a user are told of the end of their invite or knock. */
export function endOutside(
  userId: UserId,
  { event_id, sender, origin_server_ts, content }: End,
): JsonObject {
  return { type: 'm.room.member', state_key: userId, event_id, sender, origin_server_ts, content }
}

async function leaveThroughOthers(
  parts: RoomParts,
  request: LeaveRequest,
  membership: LocalMembership,
): Promise<Pdu | undefined> {
  const { roomId, userId } = request
  const partial = await parts.rooms.partialState(roomId)
  const known = [...(partial ? [partial.resident] : []), ...insiders(membership)]
  const helpers = helpersOf(parts, roomId, known).slice(0, helpersMax)
  try {
    return await helpOfOne(parts, helpers, (helper) => leaveThrough(parts, helper, request))
  } catch (error) {
    if (!(error instanceof MatrixError)) throw error
    const reason = error.message
    parts.log.info('a membership ends on this server alone', { roomId, userId, reason })
    return undefined
  }
}

/** One attempt with one server in the room. */
async function leaveThrough(
  parts: RoomParts,
  helper: ServerName,
  { roomId, userId, content }: LeaveRequest,
): Promise<Pdu> {
  const { remoteServers } = parts
  const template = await remoteServers.makeLeave(helper, { roomId, userId })
  const wanted = { roomId, userId, membership: 'leave', content } as const
  const event = eventOfTemplate(parts, template, helper, wanted)
  const { event_id: eventId, bytes } = event
  await remoteServers.sendLeave(helper, { roomId, eventId, event: bytes })
  return event
}

/** Servers that are likely to be in the room: that of who invited, then those the stripped state tells of. */
export function insiders({ sender, strippedState }: LocalMembership): Set<ServerName> {
  const servers = new Set<ServerName>([serverNameOf(sender)])
  for (const entry of strippedState) {
    const userId = typeof entry.sender === 'string' ? parseUserId(entry.sender) : undefined
    if (userId !== undefined) servers.add(serverNameOf(userId))
  }
  return servers
}
