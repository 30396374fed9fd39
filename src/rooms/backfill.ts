/**
 * Fetching history: the events from before we were in a room, or from a time when we were away.
 *
 * What is fetched stands before all that is here of the same stretch of history. So a stretch is
 * fetched from its end on without holes: what cannot be placed for want of a state is left out with
 * all that follows it, and nothing is taken that does not lead to what is here already.
 *
 * What nobody can prove is passed over (`pass-over.ts`). If it can be proved later it is fetched then, and
 * stands before what is here.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#backfilling-and-retrieving-missing-events
 *
 * @module
 */

import { serverNameOf } from '#protocol/identifiers/common-format.ts'
import type { EventId, RoomId, ServerName } from '#protocol/identifiers/ids.ts'
import { parseUserId } from '#protocol/identifiers/user-id.ts'
import type { Pdu } from '#protocol/pdu.ts'
import type { Avoidance } from './avoidance.ts'
import type { Gap, Outcome } from './engine.ts'
import { fetchAuthChains } from './fetch-auth.ts'
import { FetchBudget } from './fetch-budget.ts'
import { fetchStatesBefore } from './fetch-state.ts'
import { admitOrPass, type Fetch, serversToAsk } from './fetching.ts'
import type { RoomParts } from './parts.ts'
import { type Passed, passOverLeaning, statesPast } from './pass-over.ts'
import { byAge } from './receive.ts'
import { FederationError } from './remote-servers.ts'
import type { Position, Rooms } from './rooms.ts'
import { missingParentsOf, unplaced } from './unplaced.ts'

/** Servers give at most 100 events an answer. */
const eventsPerAnswer = 100
/** How many events may have a gap in one stretch of history: servers follow that many parents. */
const gapsMax = 50
/** How many servers are named as likely to have the history. */
const likelyMax = 3

/** What the log says of a gap that nobody fills. */
export const unfilledGap = 'nobody gave the history before an event'

/**
 * Fetches events from before the gap at or before a position, and commits them. Gives how many it
 * brought: none if there is no gap, or if nobody has what is missing.
 */
export async function fillHistory(
  parts: RoomParts,
  avoidance: Avoidance,
  { roomId, before, limit }: { roomId: RoomId; before: Position; limit: number },
): Promise<number> {
  const { engine, rooms } = parts
  const version = await rooms.version(roomId)
  const gap = wholeGap(await engine.gaps(roomId, before, gapsMax))
  if (version === undefined || gap === undefined) return 0
  const likely = await serversAt(parts, roomId, gap)
  const servers = await serversToAsk(parts, roomId, likely)
  const left = [...servers]
  let brought = 0
  for (let next = left.shift(); next !== undefined && brought === 0; next = left.shift()) {
    const origin: ServerName = next
    const others = servers.filter((one) => one !== origin)
    const budget = new FetchBudget(parts.clock)
    const fetch: Fetch = {
      parts,
      roomId,
      version,
      servers: [origin, ...others],
      budget,
      avoidance,
    }
    brought = await fillFrom(fetch, origin, { gap, left, limit })
  }
  const lacking = await unplaced(parts, roomId, gap.missing)
  if (lacking.length > 0) parts.log.info(unfilledGap, { roomId, eventId: gap.eventId })
  return brought
}

/**
 * The latest of the gaps, with what is missing anywhere in the same stretch of history: the branches of
 * a room are fetched side by side, as they were spoken.
 */
function wholeGap([latest, ...others]: readonly Gap[]): Gap | undefined {
  if (latest === undefined) return undefined
  const same = others.filter(({ position }) => position.stream === latest.position.stream)
  const missing = new Set([latest, ...same].flatMap((gap) => gap.missing))
  return { ...latest, missing: [...missing].slice(0, eventsPerAnswer) }
}

/**
 * One fill at a time in each room. Who asks for the same history while it is being fetched waits for
 * what comes. Who asks for other history waits for their turn: what comes before may be what they want.
 */
export function oneAtATime(fill: Rooms['fillHistory']): Rooms['fillHistory'] {
  const underWay = new Map<RoomId, { before: Position; filling: Promise<number> }>()
  return async (roomId, before, limit) => {
    for (let other = underWay.get(roomId); other; other = underWay.get(roomId)) {
      const brought = await other.filling
      if (other.before.stream === before.stream && other.before.sub === before.sub) return brought
    }
    const filling = fill(roomId, before, limit)
    underWay.set(roomId, { before, filling })
    try {
      return await filling
    } finally {
      underWay.delete(roomId)
    }
  }
}

/** What servers gave of a history. */
interface History {
  readonly pdus: Map<EventId, Pdu>
  readonly passed: Passed
}

/**
 * Fills a gap with what one server gives, and others add. What it gives for events that cannot be proved
 * may all be here: then it is asked again without these.
 */
async function fillFrom(
  fetch: Fetch,
  origin: ServerName,
  { gap, left, limit }: { readonly gap: Gap; readonly left: ServerName[]; readonly limit: number },
): Promise<number> {
  const { avoidance } = fetch
  for (let asked = Number.POSITIVE_INFINITY; ; ) {
    const missing = gap.missing.filter((id) => !avoidance.isUseless(origin, id))
    if (missing.length === 0 || missing.length >= asked) return 0
    asked = missing.length
    const wanted = { ...gap, missing }
    const history = await historyFrom(fetch, origin, wanted, limit)
    if (history === undefined) return 0
    if (history.pdus.size > 0) await addBranches(fetch, history, { left, gap: wanted, limit })
    const brought = await placeHistory(fetch, history, { origin, gap })
    for (const id of history.passed.keys()) avoidance.useless(origin, id)
    if (brought > 0) return brought
  }
}

/**
 * Adds the branches of a history that its first server did not give: one that has left the room may know
 * only one of them, and whoever pages past a gap does not come back to it. Takes the servers that it
 * asks away from `left`.
 */
async function addBranches(
  fetch: Fetch,
  history: History,
  { left, gap, limit }: { left: ServerName[]; gap: Gap; limit: number },
): Promise<void> {
  const { avoidance } = fetch
  const lacking = () => gap.missing.filter((id) => !isGiven(history, id))
  while (lacking().length > 0) {
    const server = left.shift()
    if (server === undefined) return
    // What nobody has is not waited for whenever somebody turns a page.
    const missing = lacking().filter((id) => !avoidance.isAvoided(server, id))
    if (missing.length === 0) continue
    const given = await historyFrom(fetch, server, { ...gap, missing }, limit)
    if (given === undefined) continue
    for (const [eventId, pdu] of given.pdus) history.pdus.set(eventId, pdu)
    for (const [eventId, over] of given.passed) history.passed.set(eventId, over)
    for (const id of missing) if (!isGiven(given, id)) avoidance.failed(server, id)
  }
}

function isGiven({ pdus, passed }: History, eventId: EventId): boolean {
  return pdus.has(eventId) || passed.has(eventId)
}

/** Commits fetched events, with what is needed for a verdict on them. Gives how many came into the room. */
async function placeHistory(
  fetch: Fetch,
  history: History,
  { origin, gap }: { origin: ServerName; gap: Gap },
): Promise<number> {
  const { parts, roomId } = fetch
  const { pdus } = history
  if (pdus.size === 0) return 0
  const isLost = (id: EventId) => fetch.avoidance.isRefused(origin, id)
  const areLost = (await fetchAuthChains(fetch, [...pdus.values()])).every(isLost)
  const leaning = await passOverLeaning(fetch, pdus)
  for (const [id, over] of leaning) history.passed.set(id, over)
  const lost = [...history.passed].filter(([id]) => (leaning.has(id) ? areLost : isLost(id)))
  const missing = new Set(await missingParentsOf(parts, roomId, pdus, [...pdus.values()]))
  const ends = [...pdus.values()]
    .filter((pdu) => pdu.prev_events.some((id) => missing.has(id)))
    .toSorted((one, other) => byAge(other, one))
  const past = await statesPast(fetch, ends, { pdus, passed: new Map(lost) })
  const others = ends.filter(({ event_id: id }) => !past.has(id))
  const statesBefore = new Map([...past, ...(await fetchStatesBefore(fetch, others))])
  for (const { event_id: end } of ends) if (!statesBefore.has(end)) removeWithLater(pdus, end)
  const events = connected(history, gap.missing)
  if (events.size === 0) return 0
  const outcomes = await parts.engine.acceptHistory(roomId, [...events.values()], {
    before: gap.position,
    origin,
    statesBefore,
  })
  const isNew = ({ outcome }: Outcome) => outcome !== 'missing' && outcome !== 'known'
  return outcomes.filter(isNew).length
}

/** What a server has of the history, without what is here already; `undefined` if it fails us. */
async function historyFrom(
  fetch: Fetch,
  server: ServerName,
  gap: Gap,
  limit: number,
): Promise<History | undefined> {
  const { parts, roomId } = fetch
  try {
    const bytes = await parts.remoteServers.backfill(server, {
      roomId,
      from: gap.missing,
      limit: Math.max(Math.min(limit, eventsPerAnswer), gap.missing.length),
    })
    const from = { origin: server, route: 'backfill' } as const
    const { pdus, passed } = await admitOrPass(fetch, bytes, from)
    const ids = pdus.map(({ event_id }) => event_id)
    const unknown = new Set(await unplaced(parts, roomId, ids))
    const fresh = pdus.filter(({ event_id }) => unknown.has(event_id))
    const given = { pdus: new Map(fresh.map((pdu) => [pdu.event_id, pdu])), passed }
    return { pdus: connected(given, gap.missing), passed }
  } catch (error) {
    if (!(error instanceof FederationError)) throw error
    parts.log.debug('a server gave no history', { destination: server, reason: error.message })
    return undefined
  }
}

/** Those that lead to the gap: what a server adds from elsewhere would stand in a wrong place. */
function connected({ pdus, passed }: History, from: readonly EventId[]): Map<EventId, Pdu> {
  const reached = new Map<EventId, Pdu>()
  const met = new Set<EventId>()
  const border = [...from]
  for (let eventId = border.pop(); eventId !== undefined; eventId = border.pop()) {
    if (met.has(eventId)) continue
    met.add(eventId)
    const pdu = pdus.get(eventId)
    if (pdu !== undefined) reached.set(eventId, pdu)
    border.push(...(pdu?.prev_events ?? passed.get(eventId)?.prev_events ?? []))
  }
  return reached
}

/** Takes away an event and those that follow it, for which there is no state either. */
function removeWithLater(pdus: Map<EventId, Pdu>, eventId: EventId): void {
  const border = [eventId]
  for (let removed = border.pop(); removed !== undefined; removed = border.pop()) {
    if (!pdus.delete(removed)) continue
    for (const { event_id, prev_events } of pdus.values()) {
      if (prev_events.includes(removed)) border.push(event_id)
    }
  }
}

/** Servers that were in the room at the gap: their users have seen what came before. */
export async function serversAt(
  { rooms, serverName }: RoomParts,
  roomId: RoomId,
  { eventId }: Gap,
): Promise<ServerName[]> {
  const state = await rooms.stateBefore(roomId, eventId)
  if (state === undefined) return []
  const servers = new Set<ServerName>()
  for (const { type, stateKey } of state.ids()) {
    if (servers.size >= likelyMax) break
    const userId = type === 'm.room.member' ? parseUserId(stateKey) : undefined
    if (userId === undefined || serverNameOf(userId) === serverName) continue
    const member = servers.has(serverNameOf(userId)) ? undefined : await state.event(type, stateKey)
    if (member?.content.membership === 'join') servers.add(serverNameOf(userId))
  }
  return [...servers]
}
