/**
 * What may still be done in a room that an administrator has blocked.
 *
 * @module
 */

import type { Endpoint } from '#http/endpoint.ts'
import type { RoomId } from '#protocol/identifiers/ids.ts'
import type { Blocks } from '#rooms/blocks.ts'

/** What changes nothing in the room for others, or leads out of it. */
const harmless: ReadonlySet<string> = new Set([
  'leaveRoom',
  'forgetRoom',
  'setReadMarker',
  'postReceipt',
  'setAccountDataPerRoom',
  'setRoomTag',
  'deleteRoomTag',
])

/** Gives what throws 403 where a request is for a blocked room, and does more than reading or leaving it. */
export function blockedRooms(blocks: Blocks): (endpoint: Endpoint, room: string) => void {
  return ({ auth, method, operationId }, room) => {
    const isReading = method === 'GET' && auth !== 'server'
    if (auth === 'admin' || isReading || harmless.has(operationId)) return
    if (room.startsWith('!')) blocks.checkRoom(room as RoomId)
  }
}
