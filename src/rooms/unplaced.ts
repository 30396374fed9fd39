/**
 * Which events have no place in a room here.
 *
 * @module
 */

import type { EventId, RoomId } from '#protocol/identifiers/ids.ts'
import type { Pdu } from '#protocol/pdu.ts'
import type { RoomParts } from './parts.ts'

/** The parents of events that are neither in the room here nor among `between`. */
export async function missingParentsOf(
  parts: RoomParts,
  roomId: RoomId,
  between: ReadonlyMap<EventId, Pdu>,
  events: readonly Pdu[],
): Promise<EventId[]> {
  const named = new Set(events.flatMap((event) => event.prev_events))
  return await unplaced(
    parts,
    roomId,
    [...named].filter((eventId) => !between.has(eventId)),
  )
}

/** Those of the events that have no place in the room here: unknown ones, and parts of auth chains. */
export async function unplaced(
  { rooms }: RoomParts,
  roomId: RoomId,
  eventIds: readonly EventId[],
): Promise<EventId[]> {
  if (eventIds.length === 0) return []
  const stored = await rooms.events(roomId, eventIds)
  const placed = new Set(stored.filter(({ isPlaced }) => isPlaced).map(({ pdu }) => pdu.event_id))
  return eventIds.filter((eventId) => !placed.has(eventId))
}
