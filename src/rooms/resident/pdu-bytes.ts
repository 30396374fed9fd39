/**
 * Events as other servers are given them: the bytes in which they are stored.
 *
 * @module
 */

import type { EventId, RoomId } from '#protocol/identifiers/ids.ts'
import type { RoomParts } from '../parts.ts'

export type PduBytes = readonly Uint8Array[]

/** How many events are read at once. */
const batch = 500

export async function bytesOf(
  { rooms, clock }: Pick<RoomParts, 'rooms' | 'clock'>,
  roomId: RoomId,
  eventIds: readonly EventId[],
): Promise<Uint8Array[]> {
  const bytes: Uint8Array[] = []
  for (let at = 0; at < eventIds.length; at += batch) {
    bytes.push(...(await rooms.eventBytes(roomId, eventIds.slice(at, at + batch))))
    if (eventIds.length > batch) await clock.yield()
  }
  return bytes
}
