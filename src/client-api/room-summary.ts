/**
 * Shows rooms from outside.
 *
 * @module
 */

import { getRoomSummary } from '#endpoints/client-server/room-summary.ts'
import { answer } from '#http/endpoint.ts'
import { serverNameOf } from '#protocol/identifiers/common-format.ts'
import type { RoomAlias, RoomId } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Server } from '#server.ts'

type Needs = Pick<Server, 'aliases' | 'rooms' | 'serverName' | 'spaces'>

export const roomSummaryRoute = answer(
  getRoomSummary,
  async ({ params: { roomIdOrAlias }, query, session }, needs: Needs) => {
    const { via = [] } = query
    const userId = session?.userId
    const { roomId, servers } = isRoomId(roomIdOrAlias)
      ? { roomId: roomIdOrAlias, servers: [] }
      : await resolve(needs, roomIdOrAlias, userId !== undefined)
    const summary = await needs.spaces.summary(userId, roomId, [...via, ...servers])
    if (userId === undefined) return summary
    const membership = (await needs.rooms.membership(userId, roomId))?.membership ?? 'leave'
    return { ...summary, membership }
  },
)

async function resolve({ aliases, serverName }: Needs, alias: RoomAlias, isUser: boolean) {
  // Who is not known here does not make us ask other servers.
  if (isUser || serverNameOf(alias) === serverName) return await aliases.resolve(alias)
  throw new MatrixError(404, 'M_NOT_FOUND', 'There is no such room here.')
}

function isRoomId(roomIdOrAlias: RoomId | RoomAlias): roomIdOrAlias is RoomId {
  return roomIdOrAlias.startsWith('!')
}
