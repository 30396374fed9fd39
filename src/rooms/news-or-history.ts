/**
 * Whether an event that was missing is news, which clients are shown at the end of the timeline, or
 * history, which stands before a gap and is shown to who pages back.
 *
 * The graph decides, since nobody can lie about what an event follows: what leads to the event after a
 * gap is history, and what follows one of our own time in the room is news. Where the graph is not
 * known that far, an event is history only if it is older than our join, by the clock of its sender:
 * who lies about that hides their own words and nobody else's. In doubt it is news.
 *
 * Depths say nothing here. Everybody chooses those of their events, and with them those of all that
 * follows: docs/decisions/0010-news-or-history.md.
 *
 * @module
 */

import { serverNameOf } from '#protocol/identifiers/common-format.ts'
import type { EventId, RoomId } from '#protocol/identifiers/ids.ts'
import type { Pdu } from '#protocol/pdu.ts'
import type { Gap } from './engine.ts'
import type { Fetch } from './fetching.ts'
import type { RoomParts } from './parts.ts'
import type { Position } from './rooms.ts'

/** How many gaps of a room are looked at, the latest first. */
const gapsMax = 50

/** The gaps of a room. */
export interface Gaps {
  /** The latest first. */
  readonly all: readonly Gap[]
  /** That before the join by which we came into the room, or came back to it. */
  readonly entry: Gap | undefined
  /** When that join was made, by our clock. */
  readonly enteredTs: number
}

export async function gapsOf(parts: RoomParts, roomId: RoomId): Promise<Gaps> {
  const end = { stream: Number.MAX_SAFE_INTEGER, sub: 0 }
  const all = await parts.engine.gaps(roomId, end, gapsMax)
  for (const entry of all) {
    const join = await eventAfter(parts, roomId, entry)
    if (join === undefined || !isEntry(parts, join)) continue
    return { all, entry, enteredTs: join.origin_server_ts }
  }
  return { all, entry: undefined, enteredTs: 0 }
}

/** The event that came live after a gap, before which history of the gap may be here already. */
async function eventAfter(
  { rooms }: RoomParts,
  roomId: RoomId,
  gap: Gap,
): Promise<Pdu | undefined> {
  const from = { stream: gap.position.stream, sub: 1 }
  const [event] = await rooms.timeline(roomId, { from, direction: 'backwards', limit: 1 })
  return event?.pdu
}

/** Whether an event is the join of a user of ours: with a gap before it, it brought us into the room. */
function isEntry({ serverName }: RoomParts, event: Pdu): boolean {
  const { type, state_key, sender, content } = event
  const isJoin = type === 'm.room.member' && state_key === sender && content.membership === 'join'
  return isJoin && serverNameOf(sender) === serverName
}

/** Where an event that is history belongs. */
export interface HistoryPlace {
  readonly before: Gap
  /** Whether the event after the gap is known to follow it, rather than only to be younger. */
  readonly isProven: boolean
}

/** What was fetched on the way back from an event. */
export interface Fetched {
  readonly events: Map<EventId, Pdu>
  /** Those of them that are history, and where they belong; the others are news. */
  history: Map<EventId, HistoryPlace>
}

export async function tellApart(
  { parts, roomId }: Fetch,
  fetched: Fetched,
  gaps: Gaps,
): Promise<void> {
  fetched.history = await historyAmong(parts, roomId, { gaps, events: fetched.events })
}

export function newsAmong({ events, history }: Fetched): Map<EventId, Pdu> {
  return new Map([...events].filter(([id]) => !history.has(id)))
}

/** Those of fetched events that are history; all others are news. */
async function historyAmong(
  parts: RoomParts,
  roomId: RoomId,
  { gaps, events }: { readonly gaps: Gaps; readonly events: ReadonlyMap<EventId, Pdu> },
): Promise<Map<EventId, HistoryPlace>> {
  const history = new Map<EventId, HistoryPlace>()
  for (const before of gaps.all) {
    for (const id of leadingTo(before.missing, events)) {
      if (!history.has(id)) history.set(id, { before, isProven: true })
    }
  }
  const { entry, enteredTs } = gaps
  if (entry === undefined) return history
  const rest = new Map([...events].filter(([id]) => !history.has(id)))
  const isYounger = ({ origin_server_ts: ts }: Pdu) => ts >= enteredTs
  const news = await following(parts, roomId, { events: rest, from: entry.position, isYounger })
  for (const id of rest.keys())
    if (!news.has(id)) history.set(id, { before: entry, isProven: false })
  return history
}

/** Those of fetched events that follow one of the timeline at or after a place, or another that is meant. */
export async function following(
  { rooms }: RoomParts,
  roomId: RoomId,
  {
    events,
    from,
    isYounger = () => false,
  }: {
    readonly events: ReadonlyMap<EventId, Pdu>
    readonly from: Position
    readonly isYounger?: (event: Pdu) => boolean
  },
): Promise<Set<EventId>> {
  const parents = new Set([...events.values()].flatMap(({ prev_events }) => prev_events))
  const stored = await rooms.events(
    roomId,
    [...parents].filter((id) => !events.has(id)),
  )
  const late = new Set(
    stored.flatMap(({ pdu, position }) => (isAtOrAfter(position, from) ? [pdu.event_id] : [])),
  )
  const found = new Set<EventId>()
  const isMeant = (event: Pdu) => isYounger(event) || event.prev_events.some((id) => late.has(id))
  let border = [...events.values()].filter(isMeant)
  while (border.length > 0) {
    for (const { event_id } of border) found.add(event_id)
    border = [...events.values()].filter(
      ({ event_id, prev_events }) =>
        !found.has(event_id) && prev_events.some((id) => found.has(id)),
    )
  }
  return found
}

/** What is fetched later as history stands before the event whose past it is, and is not meant. */
function isAtOrAfter(position: Position | undefined, from: Position): boolean {
  if (position === undefined || position.sub < 0) return false
  return position.stream >= from.stream
}

/** These events, and those that lead to them, as far as they were fetched. */
function leadingTo(ends: readonly EventId[], events: ReadonlyMap<EventId, Pdu>): Set<EventId> {
  const met = new Set<EventId>()
  const border = [...ends]
  for (let id = border.pop(); id !== undefined; id = border.pop()) {
    const event = met.has(id) ? undefined : events.get(id)
    if (event === undefined) continue
    met.add(id)
    border.push(...event.prev_events)
  }
  return met
}
