/**
 * Shows administrators the rooms whose members are not all known yet.
 *
 * @module
 */

import {
  getPartialRooms,
  partialRoomsMax,
  retryPartialState,
} from '#endpoints/admin/partial-rooms.ts'
import { answer, type Route } from '#http/endpoint.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { IncompleteRoom } from '#rooms/administered-rooms.ts'
import type { Rooms } from '#rooms/rooms.ts'
import type { Server } from '#server.ts'

type Needs = Pick<Server, 'rooms'>

export const partialRoomRoutes: readonly Route<Needs>[] = [
  answer(getPartialRooms, async (_, { rooms }) => {
    const found = (await rooms.partialRooms()).slice(0, partialRoomsMax)
    return { rooms: await Promise.all(found.map((room) => shown(rooms, room))) }
  }),
  answer(retryPartialState, async ({ params: { roomId } }, { rooms }) => {
    if ((await rooms.partialState(roomId)) === undefined) {
      throw new MatrixError(404, 'M_NOT_FOUND', 'There is no such room whose state is partial.')
    }
    rooms.completeState(roomId)
    return {}
  }),
]

async function shown(
  rooms: Rooms,
  { roomId, resident, servers, sinceTs, tries, problem }: IncompleteRoom,
) {
  const state = await rooms.currentState(roomId)
  const members = state?.ids().filter(({ type }) => type === 'm.room.member') ?? []
  return {
    room_id: roomId,
    resident,
    servers,
    members_known: members.length,
    since_ts: sinceTs,
    tries,
    ...(problem !== undefined && { problem }),
  }
}
