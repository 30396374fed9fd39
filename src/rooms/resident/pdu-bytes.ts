/**
 * Events as other servers are given them: the bytes in which they are stored.
 *
 * @module
 */

import type { EventId, RoomId } from '#protocol/identifiers/ids.ts'
import type { RoomParts } from '../parts.ts'

export type PduBytes = readonly Uint8Array[]

/** Many events, read a page at a time while they are sent. */
export type PduPages = AsyncIterable<PduBytes>

/** How many events are read at once: some milliseconds. */
const pageSize = 500

/** Throws if an event is not there any more: a part of a state would be another state. */
export async function* pagesOf(
  { rooms, clock }: Pick<RoomParts, 'rooms' | 'clock'>,
  roomId: RoomId,
  eventIds: readonly EventId[],
): AsyncGenerator<PduBytes, void> {
  for (let at = 0; at < eventIds.length; at += pageSize) {
    if (at > 0) await clock.yield()
    const ids = eventIds.slice(at, at + pageSize)
    const page = await rooms.eventBytes(roomId, ids)
    if (page.length < ids.length) throw new Error(`Events of ${roomId} went while they were read.`)
    yield page
  }
}
