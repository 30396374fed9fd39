/**
 * What clients are told of events that stick, beside timelines: those that they have not been told of, of
 * rooms that their users are in, whatever the history's visibility.
 *
 * https://github.com/matrix-org/matrix-spec-proposals/pull/4354
 *
 * @module
 */

import type { Clock } from '#io/clock.ts'
import type { EventId, RoomId, UserId } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'
import type { Database } from '#storage/database.ts'
import { firstStickyEvents, lastStickyEvents } from '#storage/sticky-events.ts'
import { type PresentingNeeds, presentEvents } from './present-events.ts'

/** How many are told at once: the proposal's own number. */
export const stickyEventsMax = 100
/** How many of rooms that the user has just joined, of which all are told at once: the last ones. */
const freshMax = 1_000

export interface StickyNews {
  readonly byRoom: ReadonlyMap<RoomId, readonly EventId[]>
  /** Up to where the client knows all of them then. */
  readonly upTo: number
}

export async function stickyNews(
  { db, clock }: { readonly db: Database; readonly clock: Pick<Clock, 'now'> },
  wanted: {
    readonly roomIds: readonly RoomId[]
    /** Rooms that the user joined after `from`: of these the client is told all. */
    readonly fresh: ReadonlySet<RoomId>
    readonly from: number
    readonly to: number
    readonly limit: number
    readonly ignored: ReadonlySet<string>
  },
): Promise<StickyNews> {
  const { roomIds, fresh, from, to, limit } = wanted
  const common = { to, now: clock.now(), ignored: [...wanted.ignored] }
  const known = roomIds.filter((roomId) => !fresh.has(roomId))
  const part = { ...common, roomIds: known, from, limit: limit + 1 }
  const [news, ofFresh] = await Promise.all([
    from < to && known.length > 0 ? firstStickyEvents(db, part) : [],
    fresh.size > 0
      ? lastStickyEvents(db, { ...common, roomIds: [...fresh], from: 0, limit: freshMax })
      : [],
  ])
  const told = news.slice(0, limit)
  const all = [...ofFresh.reverse(), ...told]
  const byRoom = Map.groupBy(all, ({ room_id }) => room_id)
  return {
    byRoom: new Map(
      [...byRoom].map(([roomId, rows]) => [roomId, rows.map(({ event_id }) => event_id)]),
    ),
    upTo: news.length > limit ? (told.at(-1)?.stream ?? from) : to,
  }
}

/** Events that stick as clients see them, in the order given, without those that they are shown already. */
export async function presentSticky(
  needs: PresentingNeeds,
  shown: {
    readonly userId: UserId
    readonly deviceId: string
    readonly roomId: RoomId
    readonly eventIds: readonly EventId[]
    readonly timeline: ReadonlySet<unknown>
    readonly format?: 'client' | 'federation'
  },
): Promise<JsonObject[]> {
  const { userId, deviceId, roomId, timeline, format = 'client' } = shown
  const eventIds = shown.eventIds.filter((eventId) => !timeline.has(eventId))
  if (eventIds.length === 0) return []
  const found = await needs.rooms.events(roomId, eventIds)
  const byId = new Map(found.map((stored) => [stored.pdu.event_id, stored]))
  const events = eventIds.flatMap((eventId) => {
    const stored = byId.get(eventId)
    return stored === undefined ? [] : [{ stored, membership: undefined, replaces: undefined }]
  })
  const access = { roomId, userId, kind: 'joined', left: undefined, worldReadable: false } as const
  return await presentEvents(needs, events, { access, deviceId, room: 'without', format })
}
