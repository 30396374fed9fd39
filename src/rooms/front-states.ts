/**
 * The front of a gap that is too long to be filled: the earliest events behind it, at which the room is
 * taken up again. What is before them is missing, so that another server says what the state before them
 * is.
 *
 * @module
 */

import type { EventId } from '#protocol/identifiers/ids.ts'
import type { Pdu } from '#protocol/pdu.ts'
import type { Gap, StateBefore, StatesBefore } from './engine.ts'
import { fetchAuthChains } from './fetch-auth.ts'
import { fetchStateBefore } from './fetch-state.ts'
import { type Fetch, homeOf } from './fetching.ts'
import { type Fetched, type HistoryPlace, newsAmong } from './news-or-history.ts'
import { byAge } from './receive.ts'
import { missingParentsOf } from './unplaced.ts'

/** How many events a gap may end at, for the room to be taken up again behind it. */
export const frontMax = 20

/**
 * Prepares an event for its place that others lead to and whose own parents may be missing here, too:
 * with the state before it. What is history is put where it belongs at once.
 */
export async function placeAtFront(
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
 * them, perhaps for ever. Where it refuses to tell the state before one of these, as of before our time in the
 * room, that one is lost too, and it goes on behind it.
 */
export async function statesAfterLost(
  fetch: Fetch,
  {
    news,
    events,
    lost,
    isRefused,
  }: {
    readonly news: ReadonlyMap<EventId, Pdu>
    readonly events: readonly Pdu[]
    readonly lost: readonly EventId[]
    /** Whether who sent what follows refuses to tell the state before an event. */
    readonly isRefused: (eventId: EventId) => boolean
  },
): Promise<StatesBefore> {
  const states = new Map<EventId, StateBefore>()
  const gone = new Set(lost)
  const left = new Map(news)
  let asked = 0
  for (const event of events.toSorted(byAge)) {
    if (asked === frontMax || !event.prev_events.some((id) => gone.has(id))) continue
    asked += 1
    const state = await stateIfNeeded(fetch, left, { event, place: undefined })
    if (state !== undefined) states.set(event.event_id, state)
    else if (isRefused(event.event_id)) {
      gone.add(event.event_id)
      left.delete(event.event_id)
    }
  }
  return states
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
