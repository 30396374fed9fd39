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
import { type Avoidance, stateBefore } from './avoidance.ts'
import type { GapFiller, Missing, StateBefore, StatesBefore } from './engine.ts'
import { eventsBetween, missingParents } from './events-between.ts'
import { fetchAuthChains } from './fetch-auth.ts'
import { FetchBudget, type FetchQuota } from './fetch-budget.ts'
import { type Fetch, fetchEvents, homeOf, serversToAsk } from './fetching.ts'
import { frontMax, placeAtFront, statesAfterLost } from './front-states.ts'
import {
  type Fetched,
  following,
  type Gaps,
  gapsOf,
  newsAmong,
  tellApart,
} from './news-or-history.ts'
import type { RoomParts } from './parts.ts'
import { type Passed, passOverLeaning, statesPast } from './pass-over.ts'
import { byAge } from './receive.ts'
import type { Rooms } from './rooms.ts'
import { missingParentsOf, unplaced } from './unplaced.ts'

/** How much of a known gap is fetched to see whether what is missing lies in it. */
const gapPagesMax = 3
/** How many events may be fetched in vain without a pause after that. */
const vainMax = 20
const eventsPerPage = 100
/** How many events are fetched one by one where the state before a gap's front is not to be had. */
const behindFrontMax = 20

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

async function fillHistoryUpTo(fetch: Fill, pdu: Pdu, origin: ServerName): Promise<void> {
  const { parts, roomId } = fetch
  const gaps = await gapsOf(parts, roomId)
  const passed: Passed = new Map()
  const events = await eventsBetween(fetch, pdu, { gaps, passed })
  const fetched: Fetched = { events, history: new Map() }
  await tellApart(fetch, fetched, gaps)
  if (await mayLieInGap(fetch, pdu, { fetched, gaps })) {
    await fillGapFirst(fetch, pdu, { fetched, gaps })
  }
  const front = await missingParents(fetch, newsAmong(fetched), pdu)
  const statesBefore = new Map<EventId, StateBefore>()
  const isLost = (id: EventId) => fetch.avoidance.isRefused(origin, id)
  // Servers still give an event whose place they have lost, as a part of auth chains.
  const isRefused = (id: EventId) => fetch.avoidance.isRefused(origin, stateBefore(id))
  let lost: readonly EventId[] = []
  if (front.length > 0 && front.length <= frontMax) {
    const unknown = front.filter((id) => !fetched.events.has(id))
    for (const [id, event] of await fetchEvents(fetch, unknown)) fetched.events.set(id, event)
    await tellApart(fetch, fetched, gaps)
    for (const id of front) await placeAtFront(fetch, id, { fetched, statesBefore })
    const led = await goBehindFront(fetch, front, { fetched, statesBefore })
    await tellApart(fetch, fetched, gaps)
    const hasState = (id: EventId) => statesBefore.has(id) || led.has(id)
    lost = unknown.filter((id) => (isLost(id) || isRefused(id)) && !hasState(id))
    for (const id of lost) if (!fetched.history.has(id)) fetched.events.delete(id)
  }
  const news = newsAmong(fetched)
  for (const id of passed.keys()) if (!isLost(id)) passed.delete(id)
  await passOverLost(fetch, news, { passed, isLost })
  const behind = [...news.values(), pdu].filter(({ event_id: id }) => !statesBefore.has(id))
  const past = await statesPast(fetch, behind, { pdus: news, passed })
  for (const [id, state] of past) statesBefore.set(id, state)
  const untold = behind.filter(({ event_id: id }) => !past.has(id))
  for (const [id, state] of await statesAfterLost(fetch, {
    news,
    events: untold,
    lost,
    isRefused,
  })) {
    statesBefore.set(id, state)
  }
  // It is taken with what it lacks, if that is lost; else it is tried again by itself.
  if (statesBefore.has(pdu.event_id)) news.set(pdu.event_id, pdu)
  if (news.size === 0) return
  await parts.engine.receive(roomId, [...news.values()].toSorted(byAge), { origin, statesBefore })
}

/**
 * Where nobody tells the state before the events at the front, some of those before them are fetched one by
 * one: who gives few events at once, and the deepest of them, never comes to those that say they are less
 * deep than they are. Gives those at the front to which what is here leads by them.
 */
async function goBehindFront(
  fetch: Fill,
  front: readonly EventId[],
  { fetched, statesBefore }: { readonly fetched: Fetched; readonly statesBefore: StatesBefore },
): Promise<ReadonlySet<EventId>> {
  const { parts, roomId } = fetch
  const none: ReadonlySet<EventId> = new Set()
  // Where much was given the gap is long, and no few events lead out of it.
  if (fetched.events.size > behindFrontMax) return none
  if ((await parts.rooms.partialState(roomId)) !== undefined) return none
  const news = newsAmong(fetched)
  const untold = front.flatMap((id) => (statesBefore.has(id) ? [] : (news.get(id) ?? [])))
  let last = untold
  for (let left = behindFrontMax; ; left -= last.length) {
    const before = await missingParentsOf(parts, roomId, fetched.events, last)
    if (before.length === 0) return new Set(untold.map(({ event_id: id }) => id))
    if (before.length > left) return none
    const events = await fetchEvents(fetch, before)
    for (const [id, event] of events) fetched.events.set(id, event)
    last = [...events.values()]
    if (last.length < before.length) return none
  }
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
