/**
 * Joins rooms.
 *
 * @module
 */

import { joinRoom, joinRoomById } from '#endpoints/client-server/joining.ts'
import { knockRoom } from '#endpoints/client-server/knocking.ts'
import { answer, type Session } from '#http/endpoint.ts'
import type { RoomAlias, RoomId, ServerName } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Server } from '#server.ts'
import { takesGuests } from '#users/guest-access.ts'
import { profileContent, reasonContent } from './room-content.ts'

type Needs = Pick<Server, 'aliases' | 'rooms' | 'users'>

/** Refuses guests, unless the room wants them. */
export async function checkGuestJoins(
  needs: Pick<Server, 'rooms'>,
  { guest }: Pick<Session, 'guest'>,
  roomId: RoomId,
): Promise<void> {
  if (!guest || (await takesGuests(needs, roomId))) return
  throw new MatrixError(403, 'M_GUEST_ACCESS_FORBIDDEN', 'Guests may not join this room.')
}

export const joinRoomByIdRoute = answer(
  joinRoomById,
  async ({ params: { roomId }, body, session }, needs: Needs) => {
    const { userId } = session
    await checkGuestJoins(needs, session, roomId)
    const content = { ...(await profileContent(needs, userId)), ...reasonContent(body) }
    const { third_party_signed: thirdPartySigned } = body
    const signed = thirdPartySigned && { thirdPartySigned }
    await needs.rooms.join({ userId, roomId, via: [], content, ...signed })
    return { room_id: roomId }
  },
)

export const joinRoomRoute = answer(
  joinRoom,
  async ({ params, query, body, session }, needs: Needs) => {
    const { userId } = session
    const { roomId, via } = await placeOf(needs, params.roomIdOrAlias, query)
    await checkGuestJoins(needs, session, roomId)
    const content = { ...(await profileContent(needs, userId)), ...reasonContent(body) }
    const { third_party_signed: thirdPartySigned } = body
    const signed = thirdPartySigned && { thirdPartySigned }
    await needs.rooms.join({ userId, roomId, via, content, ...signed })
    return { room_id: roomId }
  },
)

export const knockRoomRoute = answer(
  knockRoom,
  async ({ params, query, body, session: { userId } }, needs: Needs) => {
    const { roomId, via } = await placeOf(needs, params.roomIdOrAlias, query)
    const content = { ...(await profileContent(needs, userId)), ...reasonContent(body) }
    await needs.rooms.knock({ userId, roomId, via, content })
    return { room_id: roomId }
  },
)

/** Which room is meant, and through which servers it may be reached. */
async function placeOf(
  { aliases }: Pick<Server, 'aliases'>,
  roomIdOrAlias: RoomId | RoomAlias,
  {
    via = [],
    server_name = [],
  }: { via?: readonly ServerName[]; server_name?: readonly ServerName[] },
): Promise<{ roomId: RoomId; via: ServerName[] }> {
  const given = [...new Set([...via, ...server_name])]
  if (isRoomId(roomIdOrAlias)) return { roomId: roomIdOrAlias, via: given }
  const { roomId, servers } = await aliases.resolve(roomIdOrAlias)
  return { roomId, via: [...new Set([...given, ...servers])] }
}

function isRoomId(roomIdOrAlias: RoomId | RoomAlias): roomIdOrAlias is RoomId {
  return roomIdOrAlias.startsWith('!')
}
