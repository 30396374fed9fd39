/**
 * Fetching the auth chains of events.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#retrieving-event-authorisation-information
 *
 * @module
 */

import { Slices } from '#io/slices.ts'
import type { EventId } from '#protocol/identifiers/ids.ts'
import { createEventIdOfRoom } from '#protocol/identifiers/room-id.ts'
import type { Pdu } from '#protocol/pdu.ts'
import { admitAffordable, type Fetch, fetchEvents, fromAnyServer } from './fetching.ts'

/**
 * Brings what the auth chains of `events` lack into the store, as far as it can be had. Gives what is
 * still lacking.
 */
export async function fetchAuthChains(
  fetch: Fetch,
  events: readonly Pdu[],
): Promise<readonly EventId[]> {
  const given = new Map(events.map((pdu) => [pdu.event_id, pdu]))
  const lacking = await lackingOf(fetch, events, (eventId) => given.has(eventId))
  if (lacking.length === 0) return []
  const found = new Map<EventId, Pdu>()
  // The chain of one event holds most of what the others lack too.
  const first = events.find((pdu) => pdu.auth_events.some((id) => lacking.includes(id)))
  if (first !== undefined) {
    for (const pdu of await chainOf(fetch, first)) found.set(pdu.event_id, pdu)
  }
  return await completeAndStore(fetch, given, found)
}

/**
 * Fetches what events among `found` still need for their own auth chains to be whole, and stores all
 * of them. Those of `given` are to be stored by others. Gives what is still lacking.
 */
export async function completeAndStore(
  fetch: Fetch,
  given: ReadonlyMap<EventId, Pdu>,
  found: Map<EventId, Pdu>,
): Promise<readonly EventId[]> {
  const isHere = (eventId: EventId) => given.has(eventId) || found.has(eventId)
  let lacking = await lackingOf(fetch, [...given.values(), ...found.values()], isHere)
  while (lacking.length > 0 && !fetch.budget.isSpent) {
    const fetched = await fetchEvents(fetch, lacking)
    if (fetched.size === 0) break
    for (const [eventId, pdu] of fetched) found.set(eventId, pdu)
    // Only what has just come names anything new: a chain may be long.
    lacking = await lackingOf(fetch, [...fetched.values()], isHere, lacking)
  }
  const unknown = new Set(await fetch.parts.engine.unknownOf(fetch.roomId, [...found.keys()]))
  const fresh = [...found.values()].filter((pdu) => unknown.has(pdu.event_id))
  const [origin] = fetch.servers
  if (fresh.length > 0 && origin !== undefined) {
    await fetch.parts.engine.storeOutliers(fetch.roomId, fresh, origin)
  }
  return lacking
}

/** The auth events that the events name, and what was lacking before, that are neither stored nor here. */
export async function lackingOf(
  { parts, roomId, version }: Fetch,
  events: readonly Pdu[],
  isHere: (eventId: EventId) => boolean,
  before: readonly EventId[] = [],
): Promise<EventId[]> {
  const named = new Set(before.filter((eventId) => !isHere(eventId)))
  const slices = new Slices(parts.clock)
  for (const { auth_events: authEvents } of events) {
    for (const eventId of authEvents) if (!isHere(eventId)) named.add(eventId)
    if (slices.isOver) await slices.next()
  }
  if (version.roomIdIsCreateEventId) {
    const create = createEventIdOfRoom(roomId)
    if (!isHere(create)) named.add(create)
  }
  return await parts.engine.unknownOf(roomId, [...named])
}

async function chainOf(fetch: Fetch, { event_id: eventId }: Pdu): Promise<readonly Pdu[]> {
  const { parts, roomId } = fetch
  const chain = await fromAnyServer(fetch, eventId, async (server) => {
    const bytes = await parts.remoteServers.eventAuth(server, { roomId, eventId })
    return await admitAffordable(fetch, bytes, { origin: server, route: 'event_auth' })
  })
  return chain ?? []
}
