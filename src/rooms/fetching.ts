/**
 * Fetching events of a room that others know and we do not, within bounds.
 *
 * Every fetch has a budget of events, bytes and time, and what one server could not give is not asked of
 * it again for a while. What is fetched is complete only if nothing it refers to is unknown; the engine
 * stores no event whose auth events are not there, so that a chain that was cut short is never taken for
 * a whole one.
 *
 * @module
 */

import { serverNameOf } from '#protocol/identifiers/common-format.ts'
import type { EventId, RoomId, ServerName } from '#protocol/identifiers/ids.ts'
import type { Pdu } from '#protocol/pdu.ts'
import type { RoomVersion } from '#protocol/room-version.ts'
import { peek } from './admit-pdus.ts'
import type { Avoidance } from './avoidance.ts'
import type { Route } from './engine.ts'
import type { FetchBudget } from './fetch-budget.ts'
import type { RoomParts } from './parts.ts'
import { FederationError } from './remote-servers.ts'
import { type StateKey, stateKeyOf } from './state-key.ts'

/** How many events are asked for at the same time. */
const parallel = 5
/** How many servers are asked for one thing. */
const serversMax = 4

/** One fetch: from whom, of which room, and at what cost. */
export interface Fetch {
  readonly parts: RoomParts
  readonly roomId: RoomId
  readonly version: RoomVersion
  readonly servers: readonly ServerName[]
  readonly budget: FetchBudget
  readonly avoidance: Avoidance
}

/** The servers to ask: those given, in order, then others in the room, at random. */
export async function serversToAsk(
  { rooms, serverName, random }: RoomParts,
  roomId: RoomId,
  first: readonly ServerName[],
): Promise<ServerName[]> {
  const others = await rooms.serversInRoom(roomId)
  const shuffled = others
    .map((server) => ({ server, place: random.fraction() }))
    .toSorted((a, b) => a.place - b.place)
  const servers = new Set([...first, ...shuffled.map(({ server }) => server)])
  servers.delete(serverName)
  return [...servers].slice(0, serversMax)
}

/** Server of the event's sender: the one that has the event for certain. */
export function homeOf({ sender }: Pdu): ServerName {
  return serverNameOf(sender)
}

/**
 * Asks one server after another, until one gives something. Those that fail us are passed over;
 * `undefined` if all do, or the budget is spent.
 */
export async function fromAnyServer<T>(
  { servers, budget, avoidance, parts }: Fetch,
  subject: string,
  ask: (server: ServerName) => Promise<T | undefined>,
): Promise<T | undefined> {
  for (const server of servers) {
    if (budget.isSpent) return undefined
    if (avoidance.isAvoided(server, subject)) continue
    try {
      const got = await ask(server)
      if (got !== undefined) return got
      // What we cannot afford is left away unread.
      if (budget.isSpent) return undefined
      avoidance.failed(server, subject)
    } catch (error) {
      if (!(error instanceof FederationError)) throw error
      // Whoever cannot be reached at all is left alone by whoever calls; this is about one event.
      if (error.kind === 'refused' || error.kind === 'bad-answer') {
        avoidance.failed(server, subject, error.retryAfterMs)
      }
      parts.log.debug('a server did not give what is missing', {
        destination: server,
        subject,
        reason: error.message,
      })
    }
  }
  return undefined
}

/** Those of the PDUs that pass the door, are of the room and can be afforded. */
export async function admitAffordable(
  fetch: Fetch,
  bytes: readonly Uint8Array[],
  from: { readonly origin: ServerName; readonly route: Route },
): Promise<Pdu[]> {
  return (await admitOrPass(fetch, bytes, from)).pdus
}

/** What is known of an event that does not pass the door: its ID is a hash of this, too. */
export interface PassedEvent extends Pick<Pdu, 'prev_events'> {
  /** Where in the state it stands, if it is part of one. */
  readonly place: StateKey | undefined
}

/** The same, and those that do not pass the door, in versions of rooms in which an ID is a hash. */
export async function admitOrPass(
  { parts, version, roomId, budget, avoidance }: Fetch,
  bytes: readonly Uint8Array[],
  from: { readonly origin: ServerName; readonly route: Route },
): Promise<{ readonly pdus: Pdu[]; readonly passed: Map<EventId, PassedEvent> }> {
  const afforded = budget.afford(bytes)
  const pdus: Pdu[] = []
  const passed = new Map<EventId, PassedEvent>()
  for (const [index, one] of (await parts.engine.admit(version, afforded, from)).entries()) {
    if (one.ok && one.pdu.room_id === roomId) pdus.push(one.pdu)
    if (one.ok || one.eventId === undefined) continue
    avoidance.unproven(from.origin, one.eventId as EventId)
    if (version.eventId === 'in-event') continue
    const { prev_events, ...read } = peek(afforded[index] ?? new Uint8Array()) ?? {}
    if (!Array.isArray(prev_events)) continue
    // Only what has the format of an event has an ID.
    passed.set(one.eventId as EventId, { prev_events, place: stateKeyOf(read as unknown as Pdu) })
  }
  return { pdus, passed }
}

/** Fetches single events, some at a time. Those that cannot be had are left out. */
export async function fetchEvents(
  fetch: Fetch,
  eventIds: readonly EventId[],
): Promise<Map<EventId, Pdu>> {
  const found = new Map<EventId, Pdu>()
  const rest = [...eventIds]
  const work = async () => {
    for (let eventId = rest.pop(); eventId !== undefined; eventId = rest.pop()) {
      const pdu = await fetchEvent(fetch, eventId)
      if (pdu !== undefined) found.set(eventId, pdu)
    }
  }
  await Promise.all(Array.from({ length: Math.min(parallel, rest.length) }, work))
  return found
}

async function fetchEvent(fetch: Fetch, eventId: EventId): Promise<Pdu | undefined> {
  const { avoidance, budget, parts } = fetch
  return await fromAnyServer(fetch, eventId, async (server) => {
    try {
      const bytes = await parts.remoteServers.event(server, { eventId })
      const [pdu] = await admitAffordable(fetch, [bytes], { origin: server, route: 'event' })
      if (pdu?.event_id === eventId) return pdu
      if (!budget.isSpent) avoidance.unproven(server, eventId)
      return undefined
    } catch (error) {
      if (isRefusal(error)) avoidance.refused(server, eventId)
      throw error
    }
  })
}

/** Whether a server said that it does not give what was asked for, rather than that it cannot now. */
export function isRefusal(error: unknown): boolean {
  if (!(error instanceof FederationError) || error.kind !== 'refused') return false
  const { status = 0 } = error
  return status < 500 && status !== 429
}
