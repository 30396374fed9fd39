/**
 * Fetching events of a room that others know and we do not, within bounds.
 *
 * A hostile server can name unknown events without end: each answer names ten more. So every fetch
 * has a budget of events, bytes and time, and what one server could not give is not asked of it again
 * for a while. What is fetched is complete only if nothing it refers to is unknown; the engine stores
 * no event whose auth events are not there, so that a chain that was cut short is never taken for a
 * whole one.
 *
 * @module
 */

import { LRUCache } from 'lru-cache'
import type { Clock } from '#io/clock.ts'
import { serverNameOf } from '#protocol/identifiers/common-format.ts'
import type { EventId, RoomId, ServerName } from '#protocol/identifiers/ids.ts'
import type { Pdu } from '#protocol/pdu.ts'
import type { RoomVersion } from '#protocol/room-version.ts'
import { peek } from './admit-pdus.ts'
import type { Route } from './engine.ts'
import type { RoomParts } from './parts.ts'
import { FederationError } from './remote-servers.ts'
import type { StateKey } from './room.ts'
import { placeOf } from './unproved-state.ts'

/** What one fetch may cost, at most. */
export const fetchLimits = {
  events: 10_000,
  bytes: 32 * 1024 * 1024,
  timeMs: 60_000,
} as const

/**
 * How many bytes of events all fetches together hold in memory, besides the first of each: with little to
 * fetch nobody is behind those with much.
 */
export const heldLimits = { all: 32 * 1024 * 1024, first: 1024 * 1024 } as const

/** How many events are asked for at the same time. */
const parallel = 5
/** How many servers are asked for one thing. */
const serversMax = 4

/** How many events are fetched in an hour at most: for one room, and for what one server sent us. */
export const hourlyLimits = { room: 50_000, origin: 200_000 } as const
const hourMs = 3_600_000
/** How many rooms and servers are counted; one that is forgotten begins anew. */
const countedMax = 10_000

/** How much was fetched lately, and for whom, and how much of it is in memory. */
export class FetchQuota {
  readonly #clock: Clock
  /** When what was fetched for a key has been made good. */
  readonly #goodAtMs = new LRUCache<string, number>({
    maxSize: countedMax,
    sizeCalculation: () => 1,
  })

  /** How many bytes are held in memory. */
  #heldBytes = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Holds so many bytes more, if there is room for them. */
  hold(bytes: number): boolean {
    if (this.#heldBytes + bytes > heldLimits.all) return false
    this.#heldBytes += bytes
    return true
  }

  letGo(bytes: number): void {
    this.#heldBytes -= bytes
  }

  /** A key and its limit an hour. */
  isSpent(key: string, limit: number): boolean {
    const perEventMs = hourMs / limit
    return (this.#goodAtMs.get(key) ?? 0) > this.#clock.monotonicMs() + hourMs - perEventMs
  }

  spend(key: string, limit: number, events: number): void {
    const fromMs = Math.max(this.#goodAtMs.get(key) ?? 0, this.#clock.monotonicMs())
    this.#goodAtMs.set(key, fromMs + (events * hourMs) / limit)
  }
}

/** For whom something is fetched, and how much that was before. */
export interface Quotas {
  readonly quota: FetchQuota
  readonly roomId: RoomId
  /** Whose event made us fetch; nobody's, if we do so by ourselves. */
  readonly origin?: ServerName | undefined
}
type FetchLimits = Readonly<Record<keyof typeof fetchLimits, number>>

/** The same for the whole state of a room. */
export const wholeRoomLimits = {
  events: 2_000_000,
  bytes: 1024 * 1024 * 1024,
  timeMs: 30 * 60_000,
} as const

/** What a fetch may still cost. */
export class FetchBudget {
  readonly #clock: Clock
  readonly #endMs: number
  readonly #quotas: Quotas | undefined
  #events: number
  #bytes: number
  #taken = 0
  #takenBytes = 0
  /** How many of these are counted with what others hold. */
  #heldBytes = 0
  #isCrowdedOut = false

  constructor(clock: Clock, quotas?: Quotas, limits: FetchLimits = fetchLimits) {
    this.#clock = clock
    this.#quotas = quotas
    this.#endMs = clock.monotonicMs() + limits.timeMs
    this.#events = limits.events
    this.#bytes = limits.bytes
  }

  /** Whether it ended since others held so much, which is no fault of who was asked. */
  get isCrowdedOut(): boolean {
    return this.#isCrowdedOut
  }

  get isSpent(): boolean {
    if (this.#isCrowdedOut) return true
    if (this.#events <= 0 || this.#bytes <= 0 || this.#clock.monotonicMs() > this.#endMs)
      return true
    if (this.#quotas === undefined) return false
    const { quota, roomId, origin } = this.#quotas
    if (quota.isSpent(roomId, hourlyLimits.room)) return true
    return origin !== undefined && quota.isSpent(origin, hourlyLimits.origin)
  }

  /** How many events it has paid for. */
  get taken(): number {
    return this.#taken
  }

  /** Takes as many of the PDUs as can be afforded. */
  afford(pdus: readonly Uint8Array[]): readonly Uint8Array[] {
    let count = 0
    for (const pdu of pdus) {
      if (this.isSpent || !this.#hold(pdu.length)) break
      this.#events -= 1
      this.#bytes -= pdu.length
      count += 1
      this.#taken += 1
      this.#note()
    }
    return count === pdus.length ? pdus : pdus.slice(0, count)
  }

  /** What was fetched is not held any more. */
  close(): void {
    this.#quotas?.quota.letGo(this.#heldBytes)
    this.#heldBytes = 0
  }

  #hold(bytes: number): boolean {
    this.#takenBytes += bytes
    if (this.#quotas === undefined || this.#takenBytes <= heldLimits.first) return true
    this.#isCrowdedOut = !this.#quotas.quota.hold(bytes)
    if (!this.#isCrowdedOut) this.#heldBytes += bytes
    return !this.#isCrowdedOut
  }

  #note(): void {
    if (this.#quotas === undefined) return
    const { quota, roomId, origin } = this.#quotas
    quota.spend(roomId, hourlyLimits.room, 1)
    if (origin !== undefined) quota.spend(origin, hourlyLimits.origin, 1)
  }
}

/** For how long the keys of what does not pass the door are waited for. */
const doubtMs = 600_000

/** Which events a server could not give, and until when it is not asked for them again. */
export class Avoidance {
  readonly #clock: Clock
  readonly #failures = new LRUCache<string, { readonly count: number; readonly untilMs: number }>({
    maxSize: 10_000,
    sizeCalculation: () => 1,
  })

  /** What servers said that they have not got, or gave in a form that never passes the door. */
  readonly #refusals = new LRUCache<string, true>({ maxSize: 10_000, sizeCalculation: () => 1 })
  /** Since when servers give what does not pass the door. */
  readonly #unproven = new LRUCache<string, number>({ maxSize: 10_000, sizeCalculation: () => 1 })

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Whether it is by what a server said, and not by an accident, that we have not got an event of it. */
  isRefused(server: ServerName, eventId: EventId): boolean {
    return this.#refusals.has(`${server} ${eventId}`)
  }

  refused(server: ServerName, eventId: EventId): void {
    this.#refusals.set(`${server} ${eventId}`, true)
  }

  /**
   * What a server gave does not pass the door. The keys by which it is signed may only be out of reach
   * now, so that this counts as a refusal if it is still so after a while.
   */
  unproven(server: ServerName, eventId: EventId): void {
    const key = `${server} ${eventId}`
    const now = this.#clock.monotonicMs()
    const sinceMs = this.#unproven.get(key) ?? now
    this.#unproven.set(key, sinceMs)
    if (now - sinceMs >= doubtMs) this.refused(server, eventId)
  }

  /** `subject`: an event, or what is before it. */
  isAvoided(server: ServerName, subject: string): boolean {
    const failure = this.#failures.get(`${server} ${subject}`)
    return failure !== undefined && failure.untilMs > this.#clock.monotonicMs()
  }

  /** From a minute, doubled with each failure, to about a day; as long as the server asks for, at least. */
  failed(server: ServerName, subject: string, askedMs?: number): void {
    this.#avoid(server, subject, { leastMs: 60_000, doublings: 10, askedMs })
  }

  /**
   * What a server gives of an event has no use here. For a minute only: who could not prove what they say
   * may be able to then.
   */
  useless(server: ServerName, eventId: EventId): void {
    this.#avoid(server, `useless ${eventId}`, { leastMs: 60_000, doublings: 0 })
  }

  isUseless(server: ServerName, eventId: EventId): boolean {
    return this.isAvoided(server, `useless ${eventId}`)
  }

  /** What a server led us to for an event took more than it may: from an hour to about ten days. */
  overran(server: ServerName, eventId: EventId): void {
    this.#avoid(server, eventId, { leastMs: hourMs, doublings: 8 })
  }

  #avoid(
    server: ServerName,
    subject: string,
    {
      leastMs,
      doublings,
      askedMs = 0,
    }: {
      readonly leastMs: number
      readonly doublings: number
      readonly askedMs?: number | undefined
    },
  ): void {
    const key = `${server} ${subject}`
    const count = (this.#failures.get(key)?.count ?? 0) + 1
    const waitMs = Math.max(askedMs, leastMs * 2 ** Math.min(count - 1, doublings))
    this.#failures.set(key, { count, untilMs: this.#clock.monotonicMs() + waitMs })
  }
}

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
    passed.set(one.eventId as EventId, { prev_events, place: placeOf(read as unknown as Pdu) })
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
function isRefusal(error: unknown): boolean {
  if (!(error instanceof FederationError) || error.kind !== 'refused') return false
  const { status = 0 } = error
  return status < 500 && status !== 429
}
