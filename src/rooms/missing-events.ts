/**
 * Fills gaps: brings the events between what we have and an event that has just come.
 *
 * First the events themselves are asked for, some rounds far. If the gap is longer, the room is taken
 * up again behind it: at the earliest missing events, with the state before them as another server
 * has it. What lies in the gap can be fetched later, as history.
 *
 * Every fill is bounded in time and never holds the room's queue. An event whose gap cannot be filled
 * stays where it is staged, and is tried again later.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#backfilling-and-retrieving-missing-events
 *
 * @module
 */

import { serverNameOf } from '#protocol/identifiers/common-format.ts'
import type { EventId, ServerName } from '#protocol/identifiers/ids.ts'
import { parseUserId } from '#protocol/identifiers/user-id.ts'
import type { Pdu } from '#protocol/pdu.ts'
import type { Avoidance } from './avoidance.ts'
import type { Gap, GapFiller, Missing, StateBefore, StatesBefore } from './engine.ts'
import { fetchAuthChains } from './fetch-auth.ts'
import { FetchBudget, type FetchQuota } from './fetch-budget.ts'
import { fetchStateBefore } from './fetch-state.ts'
import {
  admitOrPass,
  type Fetch,
  fetchEvents,
  fromAnyServer,
  homeOf,
  serversToAsk,
} from './fetching.ts'
import { following, type Gaps, gapsOf, type HistoryPlace, historyAmong } from './news-or-history.ts'
import type { RoomParts } from './parts.ts'
import { type Passed, passOverLeaning, statesPast } from './pass-over.ts'
import { byAge } from './receive.ts'
import type { Rooms } from './rooms.ts'
import { missingParentsOf, unplaced } from './unplaced.ts'

/** Servers give at most 20 events an answer: so far back a gap is filled with its events. */
const roundsMax = 10
const eventsPerRound = 20
/** How many events are named as those at which others may stop. */
const earliestMax = 50
/** How many events a gap may end at, for the room to be taken up again behind it. */
const frontMax = 20
/** How much of a known gap is fetched to see whether what is missing lies in it. */
const gapPagesMax = 3
/** How many events may be fetched in vain without a pause after that. */
const vainMax = 20
const eventsPerPage = 100

interface Fill extends Fetch {
  readonly fillHistory: Rooms['fillHistory']
}

export function createGapFiller(
  parts: Omit<RoomParts, 'gapFiller'>,
  {
    avoidance,
    quota,
    fillHistory,
  }: {
    readonly avoidance: Avoidance
    readonly quota: FetchQuota
    readonly fillHistory: Rooms['fillHistory']
  },
): GapFiller {
  const filler: GapFiller = {
    fill: async (roomId, pdu, missing) => {
      const withFiller = { ...parts, gapFiller: filler }
      const likely = [missing.origin, homeOf(pdu)]
      const servers = await serversToAsk(withFiller, roomId, likely)
      const fetch: Fill = {
        parts: withFiller,
        roomId,
        version: pdu.version,
        servers: servers.filter((server) => !avoidance.isAvoided(server, pdu.event_id)),
        budget: new FetchBudget(parts.clock, { quota, roomId, origin: missing.origin }),
        avoidance,
        fillHistory,
      }
      try {
        await fillOnce(fetch, pdu, missing)
      } finally {
        fetch.budget.close()
      }
      // The first one led the way.
      const [first] = fetch.servers
      if (first === undefined || fetch.budget.isCrowdedOut) return
      if (fetch.budget.isSpent) avoidance.overran(first, pdu.event_id)
      else if (await wasInVain(fetch, missing)) avoidance.failed(first, pdu.event_id)
    },
  }
  return filler
}

async function fillOnce(fetch: Fill, pdu: Pdu, missing: Missing): Promise<void> {
  if (missing.authEvents.length > 0) await fetchAuthChains(fetch, [pdu])
  if (missing.prevEvents.length === 0) return
  if (saysThatWeAreOut(fetch, pdu)) await takeWithoutHistory(fetch, pdu, missing.origin)
  else await fillHistoryUpTo(fetch, pdu, missing.origin)
}

/**
 * Whether much was fetched that does not lead to what we know. None of it is kept, so that the next try
 * would fetch all of it again; and a room tries again whenever there is news in it. Before the state of
 * a room is whole, that says nothing of who gave it.
 */
async function wasInVain(
  { parts, roomId, budget }: Fetch,
  { authEvents, prevEvents }: Missing,
): Promise<boolean> {
  if (budget.taken <= vainMax || (await parts.rooms.partialState(roomId)) !== undefined)
    return false
  const unknown = await parts.engine.unknownOf(roomId, authEvents)
  return unknown.length > 0 || (await unplaced(parts, roomId, prevEvents)).length > 0
}

/**
 * Whether an event puts a user of ours out of a room of which nobody tells us anything for long: it is
 * what the others go by, and its history is not told to who is out.
 */
function saysThatWeAreOut({ parts, roomId }: Fetch, pdu: Pdu): boolean {
  const { type, sender, state_key, content } = pdu
  if (!parts.untold.has(roomId) || type !== 'm.room.member') return false
  const user = state_key === undefined ? undefined : parseUserId(state_key)
  if (user === undefined || user === sender) return false
  const isOut = content.membership === 'leave' || content.membership === 'ban'
  return isOut && serverNameOf(user) === parts.serverName
}

/** What the state before it is will be asked for if we come back. */
async function takeWithoutHistory(fetch: Fetch, pdu: Pdu, origin: ServerName): Promise<void> {
  const statesBefore: StatesBefore = new Map([[pdu.event_id, 'unknown']])
  await fetch.parts.engine.receive(fetch.roomId, [pdu], { origin, statesBefore })
}

/** What was fetched on the way back from an event. */
interface Fetched {
  readonly events: Map<EventId, Pdu>
  /** Those of them that are history, and where they belong; the others are news. */
  history: Map<EventId, HistoryPlace>
  /** Events that were given and do not pass the door. */
  readonly passed: Passed
}

async function fillHistoryUpTo(fetch: Fill, pdu: Pdu, origin: ServerName): Promise<void> {
  const { parts, roomId } = fetch
  const gaps = await gapsOf(parts, roomId)
  const passed: Passed = new Map()
  const events = await eventsBetween(fetch, pdu, { gaps, passed })
  const fetched: Fetched = { events, history: new Map(), passed }
  await tellApart(fetch, fetched, gaps)
  if (await mayLieInGap(fetch, pdu, { fetched, gaps })) {
    await fillGapFirst(fetch, pdu, { fetched, gaps })
  }
  const front = await missingParents(fetch, newsAmong(fetched), pdu)
  const statesBefore = new Map<EventId, StateBefore>()
  const isLost = (id: EventId) => fetch.avoidance.isRefused(origin, id)
  let lost: readonly EventId[] = []
  if (front.length > 0 && front.length <= frontMax) {
    const unknown = front.filter((id) => !fetched.events.has(id))
    for (const [id, event] of await fetchEvents(fetch, unknown)) fetched.events.set(id, event)
    await tellApart(fetch, fetched, gaps)
    for (const id of front) await placeAtFront(fetch, id, { fetched, statesBefore })
    lost = unknown.filter(isLost)
  }
  const news = newsAmong(fetched)
  for (const id of passed.keys()) if (!isLost(id)) passed.delete(id)
  await passOverLost(fetch, news, { passed, isLost })
  const behind = [...news.values(), pdu].filter(({ event_id: id }) => !statesBefore.has(id))
  const past = await statesPast(fetch, behind, { pdus: news, passed })
  for (const [id, state] of past) statesBefore.set(id, state)
  const untold = behind.filter(({ event_id: id }) => !past.has(id))
  for (const [id, state] of await statesAfterLost(fetch, { news, events: untold, lost })) {
    statesBefore.set(id, state)
  }
  // It is taken with what it lacks, if that is lost; else it is tried again by itself.
  if (statesBefore.has(pdu.event_id)) news.set(pdu.event_id, pdu)
  if (news.size === 0) return
  await parts.engine.receive(roomId, [...news.values()].toSorted(byAge), { origin, statesBefore })
}

/**
 * Fetches the auth chains of news, and passes over those that lean on what is lost. While the state of the
 * room is partial, nobody can tell.
 */
async function passOverLost(
  fetch: Fetch,
  news: Map<EventId, Pdu>,
  { passed, isLost }: { readonly passed: Passed; readonly isLost: (id: EventId) => boolean },
): Promise<void> {
  const { parts, roomId } = fetch
  const lacking = await fetchAuthChains(fetch, [...news.values()])
  if (lacking.length === 0 || !lacking.every(isLost)) return
  if ((await parts.rooms.partialState(roomId)) !== undefined) return
  for (const [id, over] of await passOverLeaning(fetch, news)) passed.set(id, over)
}

async function tellApart({ parts, roomId }: Fetch, fetched: Fetched, gaps: Gaps): Promise<void> {
  fetched.history = await historyAmong(parts, roomId, { gaps, events: fetched.events })
}

function newsAmong({ events, history }: Fetched): Map<EventId, Pdu> {
  return new Map([...events].filter(([id]) => !history.has(id)))
}

/**
 * Prepares an event for its place that others lead to and whose own parents may be missing here, too:
 * with the state before it. What is history is put where it belongs at once.
 */
async function placeAtFront(
  fetch: Fetch,
  eventId: EventId,
  { fetched, statesBefore }: { fetched: Fetched; statesBefore: Map<EventId, StateBefore> },
): Promise<void> {
  const event = fetched.events.get(eventId)
  if (event === undefined) return
  const place = fetched.history.get(eventId)
  const state = await stateIfNeeded(fetch, newsAmong(fetched), { event, place })
  if (state !== undefined) statesBefore.set(eventId, state)
  if (place === undefined) return
  const isPlaced = await acceptAsHistory(fetch, event, place.before, statesBefore)
  if (!isPlaced) fetched.history.delete(eventId)
}

/**
 * The states before events that follow some which not even who sent what follows these has got. That
 * server has gone on behind a gap, and with it its people: who waited for what it lacks would not hear
 * them, perhaps for ever.
 */
async function statesAfterLost(
  fetch: Fetch,
  {
    news,
    events,
    lost,
  }: {
    readonly news: ReadonlyMap<EventId, Pdu>
    readonly events: readonly Pdu[]
    readonly lost: readonly EventId[]
  },
): Promise<StatesBefore> {
  const states = new Map<EventId, StateBefore>()
  const isAfter = ({ prev_events }: Pdu) => prev_events.some((id) => lost.includes(id))
  for (const event of events.filter(isAfter).slice(0, frontMax)) {
    const state = await stateIfNeeded(fetch, news, { event, place: undefined })
    if (state !== undefined) states.set(event.event_id, state)
  }
  return states
}

/**
 * Whether what is missing before an event may lie in a gap that is known, rather than beside it. Of what
 * is older than our time in the room that does not matter, unless nothing may be taken of which nobody
 * knows where it comes from.
 */
async function mayLieInGap(
  { parts, roomId }: Fetch,
  pdu: Pdu,
  { fetched, gaps }: { fetched: Fetched; gaps: Gaps },
): Promise<boolean> {
  const [latest] = gaps.all
  if (latest === undefined) return false
  const news = newsAmong(fetched)
  const front = await missingParentsOf(parts, roomId, news, [...news.values(), pdu])
  const partial = await parts.rooms.partialState(roomId)
  if (partial !== undefined) return partial.isNew && front.length > 0
  if (latest === gaps.entry) return false
  const after = await following(parts, roomId, { events: news, from: latest.position })
  return front.length > 0 || after.size < news.size
}

/**
 * Fetches the latest part of the history in the latest gap, as history, until all that is missing has
 * its place, or it is likely not to be in there.
 */
async function fillGapFirst(
  fetch: Fill,
  pdu: Pdu,
  { fetched, gaps }: { fetched: Fetched; gaps: Gaps },
): Promise<void> {
  const { parts, roomId } = fetch
  const [latest] = gaps.all
  if (latest === undefined) return
  for (let pages = 0; pages < gapPagesMax; pages += 1) {
    const brought = await fetch.fillHistory(roomId, latest.position, eventsPerPage)
    const left = new Set(await unplaced(parts, roomId, [...fetched.events.keys()]))
    for (const id of fetched.events.keys()) if (!left.has(id)) fetched.events.delete(id)
    const front = await missingParents(fetch, newsAmong(fetched), pdu)
    if (brought === 0 || (left.size === 0 && front.length === 0)) return
  }
}

/** The state before an event of which a parent is missing here too. */
async function stateIfNeeded(
  fetch: Fetch,
  news: ReadonlyMap<EventId, Pdu>,
  { event, place }: { event: Pdu; place: HistoryPlace | undefined },
): Promise<readonly EventId[] | 'unknown' | undefined> {
  const { parts, roomId } = fetch
  const missing = await missingParentsOf(parts, roomId, news, [event])
  if (missing.length === 0) return undefined
  // What leads to our join is part of the room. Of all else nobody can tell before the state is whole,
  // and what leads nowhere must not become what our people's events follow: nobody would take these.
  const isOfRoom = place?.isProven ?? false
  if (!isOfRoom && (await parts.rooms.partialState(roomId)) !== undefined) return undefined
  return await fetchStateBefore(fetch, event.event_id)
}

/** Puts an event before a gap, if that is still there. */
async function acceptAsHistory(
  fetch: Fetch,
  event: Pdu,
  { position }: Gap,
  statesBefore: StatesBefore,
): Promise<boolean> {
  const { parts, roomId } = fetch
  await fetchAuthChains(fetch, [event])
  const place = { before: position, origin: homeOf(event), statesBefore }
  return (await parts.engine.acceptHistory(roomId, [event], place)).length > 0
}

/**
 * The events before `pdu`, as far as some rounds of `/get_missing_events` go, or until all that comes is
 * older than our time in the room.
 */
async function eventsBetween(
  fetch: Fetch,
  pdu: Pdu,
  { gaps, passed }: { readonly gaps: Gaps; readonly passed: Passed },
): Promise<Map<EventId, Pdu>> {
  const { parts, roomId } = fetch
  const between = new Map<EventId, Pdu>()
  const missing = new Set(gaps.all.flatMap((gap) => gap.missing))
  const ends = await parts.engine.forwardExtremities(roomId)
  const earliest = [...ends, ...missing].slice(0, earliestMax)
  let latest: readonly Pdu[] = [pdu]
  // What a gap lacks is known to be history, and fetched by itself.
  const unmet = await missingParents(fetch, between, pdu)
  if (unmet.every((id) => missing.has(id))) return between
  for (let round = 0; round < roundsMax && latest.length > 0; round += 1) {
    const fresh = (await missingEventsBefore(fetch, { pdu, latest, earliest, passed })).filter(
      ({ event_id }) => event_id !== pdu.event_id && !between.has(event_id),
    )
    const unknown = new Set(await unplaced(parts, roomId, fresh.map(idOf)))
    const added = fresh.filter(({ event_id }) => unknown.has(event_id))
    for (const event of added) between.set(event.event_id, event)
    if (added.every(({ origin_server_ts: ts }) => ts < gaps.enteredTs)) break
    latest = await withMissingParents(fetch, between, [...added, ...latest])
  }
  return between
}

async function missingEventsBefore(
  fetch: Fetch,
  {
    pdu,
    latest,
    earliest,
    passed,
  }: {
    readonly pdu: Pdu
    readonly latest: readonly Pdu[]
    readonly earliest: readonly EventId[]
    readonly passed: Passed
  },
): Promise<readonly Pdu[]> {
  const { parts, roomId } = fetch
  const [first] = latest
  if (first === undefined) return []
  // Who knows nothing before an event may well know the state before it.
  const subject = first === pdu ? pdu.event_id : `before ${first.event_id}`
  const named = latest.slice(0, eventsPerRound).map(idOf)
  const events = await fromAnyServer(fetch, subject, async (server) => {
    const request = { roomId, earliest, latest: named, limit: eventsPerRound }
    const bytes = await parts.remoteServers.missingEvents(server, request)
    const from = { origin: server, route: 'get_missing_events' } as const
    const admitted = await admitOrPass(fetch, bytes, from)
    for (const [id, over] of admitted.passed) passed.set(id, over)
    return admitted.pdus.length > 0 ? admitted.pdus : undefined
  })
  return events ?? []
}

/** Those of the events of which a parent is missing. */
async function withMissingParents(
  { parts, roomId }: Fetch,
  between: ReadonlyMap<EventId, Pdu>,
  events: readonly Pdu[],
): Promise<Pdu[]> {
  const missing = new Set(await missingParentsOf(parts, roomId, between, events))
  return events.filter((event) => event.prev_events.some((id) => missing.has(id)))
}

async function missingParents(
  { parts, roomId }: Fetch,
  between: ReadonlyMap<EventId, Pdu>,
  pdu: Pdu,
): Promise<EventId[]> {
  return await missingParentsOf(parts, roomId, between, [...between.values(), pdu])
}

function idOf({ event_id }: Pdu): EventId {
  return event_id
}
