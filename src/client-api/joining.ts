/**
 * Joins rooms.
 *
 * @module
 */

import { joinRoom, joinRoomById } from '#endpoints/client-server/joining.ts'
import { knockRoom } from '#endpoints/client-server/knocking.ts'
import { answer } from '#http/endpoint.ts'
import type { RoomAlias, RoomId, ServerName } from '#protocol/identifiers/ids.ts'
import type { Server } from '#server.ts'
import { profileContent, reasonContent } from './room-content.ts'

type Needs = Pick<Server, 'aliases' | 'rooms' | 'users'>

export const joinRoomByIdRoute = answer(
  joinRoomById,
  async ({ params: { roomId }, body, session: { userId } }, needs: Needs) => {
    const content = { ...(await profileContent(needs, userId)), ...reasonContent(body) }
    const { third_party_signed: thirdPartySigned } = body
    const signed = thirdPartySigned && { thirdPartySigned }
    await needs.rooms.join({ userId, roomId, via: [], content, ...signed })
    return { room_id: roomId }
  },
)

export const joinRoomRoute = answer(
  joinRoom,
  async ({ params, query, body, session: { userId } }, needs: Needs) => {
    const { roomId, via } = await placeOf(needs, params.roomIdOrAlias, query)
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
