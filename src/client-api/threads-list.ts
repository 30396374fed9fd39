/**
 * Lists the threads of a room.
 *
 * @module
 */

import { getThreadRoots } from '#endpoints/client-server/threads-list.ts'
import { answer } from '#http/endpoint.ts'
import type { Server } from '#server.ts'
import { threadRoots } from '#sync/related-events.ts'
import { roomAccess } from '#sync/room-access.ts'
import { parseToken } from '#sync/token.ts'

/** How many threads an answer holds if the client does not say, and at most. */
const limitDefault = 20
const limitMax = 100

export const threadRootsRoute = answer(
  getThreadRoots,
  async (
    { params: { roomId }, query, session: { userId, deviceId } },
    needs: Pick<Server, 'clock' | 'db' | 'rooms'>,
  ) => {
    const access = await roomAccess(needs.rooms, userId, roomId)
    const { include = 'all', from, limit = limitDefault } = query
    return await threadRoots(needs, {
      access,
      deviceId,
      include,
      from: from === undefined ? undefined : parseToken(from, 'from'),
      limit: Math.min(limit, limitMax),
    })
  },
)
