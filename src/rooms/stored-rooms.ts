/**
 * The rooms of a store, read by a program that is not the server: the command line. Whatever a server
 * commits meanwhile is seen in rooms that were not read before, so one is for one question.
 *
 * @module
 */

import type { Clock } from '#io/clock.ts'
import type { RoomId } from '#protocol/identifiers/ids.ts'
import type { Database } from '#storage/database.ts'
import type { OwnKey } from './explain-signatures.ts'
import { loadRoom } from './load-room.ts'
import { createReads, type RoomReads } from './reads.ts'
import type { Room } from './room.ts'

export function storedRooms(
  needs: { readonly db: Database; readonly clock: Clock },
  own: OwnKey | undefined,
): RoomReads {
  const rooms = new Map<RoomId, Promise<Room | undefined>>()
  const room = (roomId: RoomId) => rooms.getOrInsertComputed(roomId, () => loadRoom(needs, roomId))
  return createReads({ db: needs.db, queues: { room }, signer: own })
}
