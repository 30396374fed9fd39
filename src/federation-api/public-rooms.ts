/**
 * Shows other servers the published room directory.
 *
 * @module
 */

import { getPublicRooms, queryPublicRooms } from '#endpoints/server-server/public-rooms.ts'
import { answer } from '#http/endpoint.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Server } from '#server.ts'

type Needs = Pick<Server, 'publicRooms'>
type Query = Parameters<Server['publicRooms']['list']>[0]

export const publicRoomsRoute = answer(
  getPublicRooms,
  async ({ query }, { publicRooms }: Needs) => await listed(publicRooms, query),
)

export const searchPublicRoomsRoute = answer(
  queryPublicRooms,
  async ({ body }, { publicRooms }: Needs) => await listed(publicRooms, body),
)

async function listed(publicRooms: Server['publicRooms'], query: Query) {
  if (!publicRooms.rules.overFederation) {
    throw new MatrixError(403, 'M_FORBIDDEN', 'The directory is not shown to other servers.')
  }
  return await publicRooms.list(query)
}
