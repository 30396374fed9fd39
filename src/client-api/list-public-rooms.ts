/**
 * The published room directory.
 *
 * @module
 */

import {
  getPublicRooms,
  getRoomVisibilityOnDirectory,
  queryPublicRooms,
  setRoomVisibilityOnDirectory,
} from '#endpoints/client-server/list-public-rooms.ts'
import { answer } from '#http/endpoint.ts'
import type { RoomId, UserId } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Server } from '#server.ts'
import { maySendState } from './power.ts'

type Needs = Pick<Server, 'publicRooms' | 'rooms' | 'serverName' | 'users'>

export const publicRoomsRoute = answer(
  getPublicRooms,
  async ({ query: { server, ...query }, session }, { publicRooms, serverName }: Needs) => {
    const asked = server ?? serverName
    // Who is not known here does not make us ask other servers.
    const needsToken = !publicRooms.rules.withoutAuth || asked !== serverName
    if (session === undefined && needsToken) {
      throw new MatrixError(401, 'M_MISSING_TOKEN', 'This needs an access token.')
    }
    return await publicRooms.listOf(asked, query)
  },
)

export const searchPublicRoomsRoute = answer(
  queryPublicRooms,
  async ({ query: { server }, body }, { publicRooms, serverName }: Needs) => {
    return await publicRooms.listOf(server ?? serverName, body)
  },
)

export const roomVisibilityRoute = answer(
  getRoomVisibilityOnDirectory,
  async ({ params: { roomId } }, { publicRooms, rooms }: Needs) => {
    await checkKnown({ rooms }, roomId)
    const published = await publicRooms.isPublished(roomId)
    return { visibility: published ? ('public' as const) : ('private' as const) }
  },
)

export const setRoomVisibilityRoute = answer(
  setRoomVisibilityOnDirectory,
  async ({ params: { roomId }, body, session: { userId } }, needs: Needs) => {
    const { publicRooms, rooms } = needs
    await checkKnown({ rooms }, roomId)
    // Servers MAY implement additional access control checks, for instance, to ensure that a room's
    // visibility can only be changed by the room creator or a server administrator. As in Synapse, it
    // is for those who may name the room.
    if (!(await maySendState({ rooms }, { roomId, userId }, 'm.room.canonical_alias'))) {
      throw new MatrixError(403, 'M_FORBIDDEN', 'You may not publish this room.')
    }
    const publishes = body.visibility !== 'private'
    if (publishes) await requireMayPublish(needs, userId)
    await publicRooms.setPublished(roomId, publishes)
    return {}
  },
)

/** Throws 403 if the configuration does not let the user put rooms on the list. */
export async function requireMayPublish(
  { publicRooms, users }: Pick<Server, 'publicRooms' | 'users'>,
  userId: UserId,
): Promise<void> {
  const account = await users.accounts.account(userId)
  publicRooms.requireMayPublish({ admin: account?.admin === true })
}

async function checkKnown({ rooms }: Pick<Server, 'rooms'>, roomId: RoomId): Promise<void> {
  if ((await rooms.version(roomId)) !== undefined) return
  throw new MatrixError(404, 'M_NOT_FOUND', 'This server does not know the room.')
}
