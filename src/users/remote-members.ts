/**
 * Of whom another server may speak in a room: what it says of its users there (that they type, what
 * they have read) counts only under the conditions here.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#server-access-control-lists-acls
 *
 * @module
 */

import { serverNameOf } from '#protocol/identifiers/common-format.ts'
import type { RoomId, ServerName, UserId } from '#protocol/identifiers/ids.ts'
import { isDenied } from '#rooms/resident/access.ts'
import type { Rooms, StateView } from '#rooms/rooms.ts'

/** One look at a room may serve many users, but not longer than it takes to read one EDU. */
export type SpeaksFor = (roomId: RoomId, userId: UserId) => Promise<boolean>

/**
 * Tells whether `origin` may speak of a user in a room: a user of its own who is joined there, in a
 * room that we are in and that does not deny the server.
 */
export function speaksFor(
  rooms: Pick<Rooms, 'currentState' | 'localMembers'>,
  origin: ServerName,
): SpeaksFor {
  const open = new Map<RoomId, Promise<StateView | undefined>>()
  const openState = async (roomId: RoomId) => {
    const state = await rooms.currentState(roomId)
    if (state === undefined || (await isDenied(state, origin))) return undefined
    return (await rooms.localMembers(roomId)).length > 0 ? state : undefined
  }
  return async (roomId, userId) => {
    if (serverNameOf(userId) !== origin) return false
    const state = await open.getOrInsertComputed(roomId, () => openState(roomId))
    const member = await state?.event('m.room.member', userId)
    return member?.content.membership === 'join'
  }
}
