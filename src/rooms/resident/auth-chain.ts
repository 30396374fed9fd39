/**
 * Auth chains: the auth events of events, their auth events, and so on to the create event.
 *
 * @module
 */

import type { EventId, RoomId } from '#protocol/identifiers/ids.ts'
import type { RoomParts } from '../parts.ts'

/** How many events are read at once. */
const batch = 500

/**
 * The union of the auth chains of some events, which are in it only if others of them need them. The
 * create event of a version 12 room is in no `auth_events`, and belongs to every chain.
 */
export async function authChainOf(
  { rooms }: Pick<RoomParts, 'rooms'>,
  roomId: RoomId,
  eventIds: readonly EventId[],
): Promise<EventId[]> {
  const chain = new Set<EventId>()
  const read = new Set<EventId>(eventIds)
  let border: readonly EventId[] = [...read]
  while (border.length > 0) {
    const next: EventId[] = []
    for (let at = 0; at < border.length; at += batch) {
      for (const { pdu } of await rooms.events(roomId, border.slice(at, at + batch))) {
        for (const authEvent of pdu.auth_events) {
          chain.add(authEvent)
          if (read.has(authEvent)) continue
          read.add(authEvent)
          next.push(authEvent)
        }
      }
    }
    border = next
  }
  const create = (await rooms.currentState(roomId))?.eventId('m.room.create', '')
  if (create !== undefined && !eventIds.includes(create)) chain.add(create)
  return [...chain]
}
