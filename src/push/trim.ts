/**
 * Forgets notifications of long ago: of each room the newest are kept, so that what is unread of it is
 * counted up to as many.
 *
 * @module
 */

import { LRUCache } from 'lru-cache'
import type { Log } from '#io/log.ts'
import type { RoomId } from '#protocol/identifiers/ids.ts'
import type { Database } from '#storage/database.ts'
import { trimNotifiedEvents } from '#storage/notifications.ts'

/** How many events of a room users may be notified of. */
const eventsMax = 10_000
/** After how many new ones a room is looked at. */
const interval = 1_000
const roomsMax = 10_000

/** Gives a function to be called after each commit of a room that notifies anybody. */
export function createTrimmer({
  db,
  log,
}: {
  readonly db: Database
  readonly log: Pick<Log, 'error'>
}): (roomId: RoomId) => void {
  const commits = new LRUCache<RoomId, number>({ maxSize: roomsMax, sizeCalculation: () => 1 })
  return (roomId) => {
    const count = (commits.get(roomId) ?? 0) + 1
    commits.set(roomId, count % interval)
    if (count < interval) return
    db.write((tx) => trimNotifiedEvents(tx, roomId, eventsMax)).catch((error: unknown) =>
      log.error('old notifications could not be removed', { roomId, error }),
    )
  }
}
