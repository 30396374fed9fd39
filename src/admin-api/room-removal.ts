/**
 * Removes rooms and old history for administrators.
 *
 * @module
 */

import { deleteRoom, deleteRoomHistory } from '#endpoints/admin/room-removal.ts'
import { answer, type RequestOf, type Route } from '#http/endpoint.ts'
import type { RoomId, UserId } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Position } from '#rooms/rooms.ts'
import type { Server } from '#server.ts'

type Needs = Pick<Server, 'rooms'>

/** Makes every user of ours leave, or decline. */
async function leaveAll({ rooms }: Needs, roomId: RoomId): Promise<UserId[]> {
  const users = await rooms.localUsersOf(roomId)
  for (const userId of users) await rooms.leave({ userId, roomId, content: {} })
  return users
}

/** The place before which history goes: that of an event, or of the first one of a time. */
async function placeOf(
  { params: { roomId }, body }: RequestOf<typeof deleteRoomHistory>,
  { rooms }: Needs,
): Promise<Position> {
  const { before_event: named, before_ts: ts } = body
  if ((named === undefined) === (ts === undefined)) {
    throw new MatrixError(400, 'M_INVALID_PARAM', "Give either 'before_event' or 'before_ts'.")
  }
  const search = { ts: ts ?? 0, direction: 'forwards', limit: 1 } as const
  const eventId = named ?? (await rooms.eventsByTime(roomId, search))[0]?.eventId
  const position = eventId && (await rooms.event(roomId, eventId))?.position
  if (position !== undefined) return position
  const what = named === undefined ? 'as young as that' : 'of this ID in its timeline'
  throw new MatrixError(404, 'M_NOT_FOUND', `The room has no event ${what}.`)
}

export const roomRemovalRoutes: readonly Route<Needs>[] = [
  answer(deleteRoom, async ({ params: { roomId }, query }, { rooms }) => {
    const left = query.leave === true ? await leaveAll({ rooms }, roomId) : []
    await rooms.removeRoom(roomId, { giveUpUndelivered: query.give_up_undelivered === true })
    return { left }
  }),
  answer(deleteRoomHistory, async (request, { rooms }) => {
    const place = await placeOf(request, { rooms })
    return { ...(await rooms.removeHistory(request.params.roomId, place)) }
  }),
]
