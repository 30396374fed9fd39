/**
 * The way back from an event that has just come to what we have: the events between, which other servers
 * are asked for.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#backfilling-and-retrieving-missing-events
 *
 * @module
 */

import type { EventId } from '#protocol/identifiers/ids.ts'
import type { Pdu } from '#protocol/pdu.ts'
import { admitOrPass, type Fetch, fromAnyServer } from './fetching.ts'
import type { Gaps } from './news-or-history.ts'
import type { Passed } from './pass-over.ts'
import { missingParentsOf, unplaced } from './unplaced.ts'

/** Servers give at most 20 events an answer: so far back a gap is filled with its events. */
const roundsMax = 10
const eventsPerRound = 20
/** How many events are named as those at which others may stop. */
const earliestMax = 50

/**
 * The events before `pdu`, as far as some rounds of `/get_missing_events` go, or until all that comes is
 * older than our time in the room.
 */
export async function eventsBetween(
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

/** The parents of fetched events, and of that before which they are, that are not here. */
export async function missingParents(
  { parts, roomId }: Fetch,
  between: ReadonlyMap<EventId, Pdu>,
  pdu: Pdu,
): Promise<EventId[]> {
  return await missingParentsOf(parts, roomId, between, [...between.values(), pdu])
}

function idOf({ event_id }: Pdu): EventId {
  return event_id
}
