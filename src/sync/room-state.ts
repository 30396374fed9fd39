/**
 * The state of a room in `/sync`: what a client must know, beside the timeline, to have the room's
 * current state.
 *
 * The client puts the state first and the events of the timeline on top of it. So an entry whose
 * event is in the timeline is given as it was where the timeline starts, and any other as it is at
 * the end: also when state resolution brought it about and no event of the timeline says so.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#syncing
 *
 * @module
 */

import type { EventId, RoomId } from '#protocol/identifiers/ids.ts'
import type { Pdu } from '#protocol/pdu.ts'
import type { Rooms, StateView } from '#rooms/rooms.ts'
import type { RoomEventFilter } from './filter.ts'
import type { RoomTimeline } from './room-timeline.ts'
import { streamOf } from './token.ts'

export type StateRooms = Pick<
  Rooms,
  'completion' | 'events' | 'stateAfter' | 'stateAtStream' | 'stateBefore' | 'stateChanges'
>

export interface StateRequest {
  readonly roomId: RoomId
  /** What the client knows already; `undefined` for nothing. */
  readonly since: number | undefined
  /** The state at the end of the timeline, and where that is in the stream. */
  readonly end: StateView
  readonly to: number
  readonly timeline: RoomTimeline
  readonly filter: RoomEventFilter
  /** Whose member events are wanted if members are loaded lazily, beside those of senders. */
  readonly members: readonly string[]
  /** Whether the client wants the state at the end of the timeline instead of its start. */
  readonly atEnd: boolean
}

/** An entry of the state to give. */
interface Entry {
  readonly type: string
  readonly stateKey: string
  readonly eventId: EventId
}

export async function roomState(rooms: StateRooms, request: StateRequest): Promise<Pdu[]> {
  const { roomId, since, filter } = request
  const entries =
    since === undefined ? await all(rooms, request) : await delta(rooms, request, since)
  const ids = entries.filter(({ type }) => filter.matchesType(type)).map(({ eventId }) => eventId)
  if (ids.length === 0) return []
  const stored = await rooms.events(roomId, [...new Set(ids)])
  return stored.map(({ pdu }) => pdu).filter((pdu) => filter.matches(pdu))
}

/** The whole state. */
async function all(rooms: StateRooms, request: StateRequest): Promise<Entry[]> {
  const { end, atEnd, filter, timeline } = request
  const start = atEnd ? undefined : await stateAtStart(rooms, request)
  const inTimeline = timelineIds(timeline)
  const wanted = filter.lazyLoadMembers ? wantedMembers(request) : undefined
  return end.ids().flatMap((entry) => {
    if (entry.type === 'm.room.member' && wanted && !wanted.has(entry.stateKey)) return []
    return entryGiven(entry, { atEnd, inTimeline, start })
  })
}

/** What has changed since the client last knew it. */
async function delta(rooms: StateRooms, request: StateRequest, since: number): Promise<Entry[]> {
  const { roomId, to, atEnd, end, filter, timeline } = request
  const changes = await rooms.stateChanges(roomId, { from: since, to })
  const inTimeline = timelineIds(timeline)
  const start = timeline.limited && !atEnd ? await stateAtStart(rooms, request) : undefined
  const changed = changes.flatMap(({ type, stateKey, before, after }) => {
    if (after === undefined) return []
    const given = entryGiven({ type, stateKey, eventId: after }, { atEnd, inTimeline, start })
    return given.filter(({ eventId }) => eventId !== before)
  })
  if (!filter.lazyLoadMembers) return changed
  const wanted = wantedMembers(request)
  const isWanted = ({ type, stateKey }: Entry) => type !== 'm.room.member' || wanted.has(stateKey)
  const isFlood = await areMembersNews(rooms, request, since)
  const needed = isFlood ? changed.filter(isWanted) : changed
  // The members who sent the events of the timeline, if they are not among the changes.
  const given = new Set(needed.map(({ type, stateKey }) => `${type} ${stateKey}`))
  const shown = new Set(changes.map(({ type, stateKey }) => `${type} ${stateKey}`))
  const lazy = [...wanted].flatMap((stateKey) => {
    const name = `m.room.member ${stateKey}`
    const eventId =
      given.has(name) || shown.has(name) ? undefined : end.eventId('m.room.member', stateKey)
    return eventId === undefined ? [] : [{ type: 'm.room.member', stateKey, eventId }]
  })
  return [...needed, ...lazy]
}

/**
 * Whether all members of a room have become known at once, which was joined without them. Who loads
 * members lazily is not given them all; but in an encrypted room they may have asked for all of them
 * meanwhile, and must know for whom to encrypt.
 */
async function areMembersNews(
  rooms: StateRooms,
  { roomId, to, end }: StateRequest,
  since: number,
): Promise<boolean> {
  if (end.eventId('m.room.encryption', '') !== undefined) return false
  const completed = (await rooms.completion(roomId))?.completed ?? 0
  return completed > since && completed <= to
}

/** An entry as it is to be given before the timeline; nothing if the timeline says it all. */
function entryGiven(
  entry: Entry,
  seen: {
    readonly atEnd: boolean
    readonly inTimeline: ReadonlySet<EventId>
    readonly start: StateView | undefined
  },
): Entry[] {
  if (seen.atEnd || !seen.inTimeline.has(entry.eventId)) return [entry]
  const eventId = seen.start?.eventId(entry.type, entry.stateKey)
  return eventId === undefined || seen.inTimeline.has(eventId) ? [] : [{ ...entry, eventId }]
}

/**
 * When lazy-loading is enabled, the server includes the member events of the senders of events in the
 * timeline, of the heroes, and in full state of the user themselves.
 *
 * Who takes no state from the timeline is given the members too whom its events are about: they may know
 * one from an earlier stay who was kicked before their eyes.
 */
function wantedMembers({ members, timeline, atEnd }: StateRequest): Set<string> {
  const wanted = new Set<string>(members)
  for (const { stored } of timeline.events) {
    const { type, sender, state_key } = stored.pdu
    wanted.add(sender)
    if (atEnd && type === 'm.room.member' && state_key !== undefined) wanted.add(state_key)
  }
  return wanted
}

function timelineIds(timeline: RoomTimeline): Set<EventId> {
  return new Set(timeline.events.map(({ stored }) => stored.pdu.event_id))
}

/** The state where the timeline starts. History fetched later knows it from its place in the graph. */
async function stateAtStart(
  rooms: StateRooms,
  { roomId, timeline: { first, start } }: StateRequest,
): Promise<StateView | undefined> {
  if (first?.position !== undefined && first.position.sub < 0) {
    const state = await rooms.stateBefore(roomId, first.pdu.event_id)
    if (state !== undefined) return state
  }
  return await rooms.stateAtStream(roomId, streamOf(start))
}
