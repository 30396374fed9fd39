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
import type { EventId, RoomId, ServerName } from '#protocol/identifiers/ids.ts'
import { parseUserId } from '#protocol/identifiers/user-id.ts'
import type { Pdu } from '#protocol/pdu.ts'
import type { Gap, GapFiller, StatesBefore } from './engine.ts'
import { fetchAuthChains } from './fetch-auth.ts'
import { fetchStateBefore } from './fetch-state.ts'
import {
  type Avoidance,
  admitAffordable,
  type Fetch,
  FetchBudget,
  type FetchQuota,
  fetchEvents,
  fromAnyServer,
  homeOf,
  serversToAsk,
} from './fetching.ts'
import type { RoomParts } from './parts.ts'
import { byAge } from './receive.ts'

/** Servers give at most 20 events an answer: so far back a gap is filled with its events. */
const roundsMax = 10
const eventsPerRound = 20
/** How many events a gap may end at, for the room to be taken up again behind it. */
const frontMax = 20

export function createGapFiller(
  parts: Omit<RoomParts, 'gapFiller'>,
  avoidance: Avoidance,
  quota: FetchQuota,
): GapFiller {
  const filler: GapFiller = {
    fill: async (roomId, pdu, missing) => {
      const withFiller = { ...parts, gapFiller: filler }
      const likely = [missing.origin, homeOf(pdu)]
      const servers = await serversToAsk(withFiller, roomId, likely)
      const fetch: Fetch = {
        parts: withFiller,
        roomId,
        version: pdu.version,
        servers: servers.filter((server) => !avoidance.isAvoided(server, pdu.event_id)),
        budget: new FetchBudget(parts.clock, { quota, roomId, origin: missing.origin }),
        avoidance,
      }
      if (missing.authEvents.length > 0) await fetchAuthChains(fetch, [pdu])
      if (missing.prevEvents.length > 0) {
        if (saysThatWeAreOut(fetch, pdu)) await takeWithoutHistory(fetch, pdu, missing.origin)
        else await fillHistoryUpTo(fetch, pdu, missing.origin)
      }
      // The first one led the way.
      const [first] = fetch.servers
      if (first !== undefined && fetch.budget.isSpent) avoidance.overran(first, pdu.event_id)
    },
  }
  return filler
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

async function fillHistoryUpTo(fetch: Fetch, pdu: Pdu, origin: ServerName): Promise<void> {
  const { parts, roomId } = fetch
  const gap = await latestGap(parts, roomId)
  const between = await eventsBetween(fetch, pdu, gap?.depth ?? 0)
  const front = await missingParents(fetch, between, pdu)
  const statesBefore = new Map<EventId, readonly EventId[] | 'unknown'>()
  if (front.length > 0 && front.length <= frontMax) {
    for (const parent of (await fetchEvents(fetch, front)).values()) {
      const state = await stateIfNeeded(fetch, between, parent)
      if (state !== undefined) statesBefore.set(parent.event_id, state)
      const isOlder = gap !== undefined && parent.depth < gap.depth
      if (isOlder && (await acceptAsHistory(fetch, parent, gap, statesBefore))) continue
      between.set(parent.event_id, parent)
    }
  }
  if (between.size === 0) return
  await fetchAuthChains(fetch, [...between.values()])
  const events = [...between.values()].toSorted(byAge)
  await parts.engine.receive(roomId, events, { origin, statesBefore })
}

interface DeepGap extends Gap {
  /** The depth of the event after the gap. */
  readonly depth: number
}

/**
 * The latest gap: where we joined, or came back. What is older than the event after it is history, and
 * no user wants to be told of it as if it had just been said.
 */
async function latestGap(
  { engine, rooms }: RoomParts,
  roomId: RoomId,
): Promise<DeepGap | undefined> {
  const end = { stream: Number.MAX_SAFE_INTEGER, sub: 0 }
  const [gap] = await engine.gaps(roomId, end, 1)
  const stored = gap && (await rooms.event(roomId, gap.eventId))
  return stored && { ...gap, depth: stored.pdu.depth }
}

/** The state before an event of which a parent is missing here too. */
async function stateIfNeeded(
  fetch: Fetch,
  between: ReadonlyMap<EventId, Pdu>,
  event: Pdu,
): Promise<readonly EventId[] | 'unknown' | undefined> {
  const missing = await missingParentsOf(fetch.parts, fetch.roomId, between, [event])
  return missing.length === 0 ? undefined : await fetchStateBefore(fetch, event.event_id)
}

/** Puts an event that is older than what is after the gap before it, if the gap is still there. */
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

/** The events before `pdu`, as far as some rounds of `/get_missing_events` go, of at least a depth. */
async function eventsBetween(fetch: Fetch, pdu: Pdu, minDepth: number): Promise<Map<EventId, Pdu>> {
  const between = new Map<EventId, Pdu>()
  let latest: readonly Pdu[] = [pdu]
  for (let round = 0; round < roundsMax && latest.length > 0; round += 1) {
    const fresh = (await missingEventsBefore(fetch, latest, minDepth)).filter(
      ({ event_id, depth }) =>
        depth >= minDepth && event_id !== pdu.event_id && !between.has(event_id),
    )
    const unknown = new Set(await unplaced(fetch.parts, fetch.roomId, fresh.map(idOf)))
    const added = fresh.filter(({ event_id }) => unknown.has(event_id))
    if (added.length === 0) break
    for (const event of added) between.set(event.event_id, event)
    latest = await withMissingParents(fetch, between, [...added, ...latest])
  }
  return between
}

async function missingEventsBefore(
  fetch: Fetch,
  latest: readonly Pdu[],
  minDepth: number,
): Promise<readonly Pdu[]> {
  const { parts, roomId } = fetch
  const [first] = latest
  if (first === undefined) return []
  const earliest = await parts.engine.forwardExtremities(roomId)
  const named = latest.slice(0, eventsPerRound).map(idOf)
  const events = await fromAnyServer(fetch, first.event_id, async (server) => {
    const request = { roomId, earliest, latest: named, limit: eventsPerRound, minDepth }
    const bytes = await parts.remoteServers.missingEvents(server, request)
    const from = { origin: server, route: 'get_missing_events' } as const
    const admitted = await admitAffordable(fetch, bytes, from)
    return admitted.length > 0 ? admitted : undefined
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

/** Those of the events that have no place in the room here: unknown ones and outliers. */
export async function unplaced(
  { rooms }: RoomParts,
  roomId: RoomId,
  eventIds: readonly EventId[],
): Promise<EventId[]> {
  if (eventIds.length === 0) return []
  const stored = await rooms.events(roomId, eventIds)
  const placed = new Set(
    stored.filter(({ status }) => status !== 'outlier').map(({ pdu }) => pdu.event_id),
  )
  return eventIds.filter((eventId) => !placed.has(eventId))
}

function idOf({ event_id }: Pdu): EventId {
  return event_id
}
