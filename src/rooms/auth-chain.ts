/**
 * Auth chains: the auth events of events, their auth events, and so on to the create event. They are
 * walked over the graph in memory, so that no event is read for it.
 *
 * @module
 */

import type { EventId, RoomId } from '#protocol/identifiers/ids.ts'
import type { EngineParts } from './engine-parts.ts'

/** See `Engine.authChain`. */
export async function authChainOf(
  { queues }: EngineParts,
  roomId: RoomId,
  eventIds: readonly EventId[],
): Promise<EventId[]> {
  const room = await queues.room(roomId)
  if (room === undefined) return []
  const inChain = new Set<number>()
  const border: number[] = []
  const meet = (numbers: Iterable<number>) => {
    for (const number of numbers) {
      if (inChain.has(number)) continue
      inChain.add(number)
      border.push(number)
    }
  }
  const unnumbered: EventId[] = []
  for (const eventId of eventIds) {
    const number = room.eventNumber(eventId)
    if (number === undefined) unnumbered.push(eventId)
    else meet(room.graph.authEvents(number))
  }
  // Events that are no state have no number: nothing leads to them.
  for (const { auth_events } of (await room.events.pdus(unnumbered)).values()) {
    meet(auth_events.flatMap((eventId) => room.eventNumber(eventId) ?? []))
  }
  for (let number = border.pop(); number !== undefined; number = border.pop()) {
    meet(room.graph.authEvents(number))
  }
  const chain = [...inChain].map((number) => room.eventId(number))
  const create = room.version.roomIdIsCreateEventId ? room.eventId(room.create) : undefined
  if (create !== undefined && eventIds.some((id) => id !== create)) chain.push(create)
  return chain
}
