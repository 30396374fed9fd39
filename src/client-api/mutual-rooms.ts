/**
 * Tells which rooms two users share.
 *
 * @module
 */

import { getMutualRooms } from '#endpoints/client-server/mutual-rooms.ts'
import { queryMutualRooms } from '#endpoints/proposals/msc2666.ts'
import { answer } from '#http/endpoint.ts'
import type { UserId } from '#protocol/identifiers/ids.ts'
import { parseRoomId } from '#protocol/identifiers/room-id.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Server } from '#server.ts'

type Needs = Pick<Server, 'rooms'>

/** How many rooms an answer holds. */
const roomsMax = 200

export const mutualRoomsRoutes = [
  answer(getMutualRooms, async ({ query, session }, needs: Needs) => {
    return await mutualRooms(needs, session.userId, { other: query.user_id, from: query.from })
  }),
  answer(queryMutualRooms, async ({ query, session }, needs: Needs) => {
    const asked = { other: query.user_id, from: query.batch_token }
    const { joined, next_batch } = await mutualRooms(needs, session.userId, asked)
    return { joined, ...(next_batch !== undefined && { next_batch_token: next_batch }) }
  }),
]

async function mutualRooms(
  { rooms }: Needs,
  userId: UserId,
  { other, from }: { readonly other: UserId; readonly from: string | undefined },
) {
  if (other === userId) throw invalid('You share all your rooms with yourself.')
  if (from !== undefined && parseRoomId(from) === undefined) {
    throw invalid('The token was not given here.')
  }
  const memberships = await rooms.membershipsOf(userId)
  const own = new Set(
    memberships.filter((one) => one.membership === 'join').map(({ roomId }) => roomId),
  )
  const theirs = await rooms.joinedRoomsOf(other)
  const mutual = theirs.filter((roomId) => own.has(roomId)).toSorted()
  // A token is the last room of the page before, in the order of their IDs.
  const rest = from === undefined ? mutual : mutual.filter((roomId) => roomId > from)
  const joined = rest.slice(0, roomsMax)
  const last = joined.at(-1)
  return {
    joined,
    count: mutual.length,
    ...(last !== undefined && rest.length > roomsMax && { next_batch: last }),
  }
}

function invalid(sentence: string): MatrixError {
  return new MatrixError(400, 'M_INVALID_PARAM', sentence)
}
