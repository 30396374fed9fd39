/**
 * The timeline of a room in `/sync`: the newest events of a part of the room's order.
 *
 * It ends where its limit is reached, where history is missing here, and, unless the client gets the
 * whole state anyway, where history begins that was fetched later: from there the client pages back
 * with `/messages` and meets each event once.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#syncing
 *
 * @module
 */

import type { Position, StoredEvent } from '#rooms/rooms.ts'
import type { RoomEventFilter } from './filter.ts'
import type { HistoryRooms, RoomAccess } from './room-access.ts'
import {
  afterEvent,
  afterStream,
  backwardsFrom,
  beforeEvent,
  forwardsFrom,
  type Point,
} from './token.ts'
import { type VisibleEvent, visibleEvents } from './visible-events.ts'

/** How many events a timeline has if the client does not say, and at most. */
const limitDefault = 10
const limitMax = 1_000

/** How many events are looked at for one timeline; of those that are hidden there may be many. */
const lookedAtMax = 2_000

export interface RoomTimeline {
  /** In the order of the room. */
  readonly events: readonly VisibleEvent[]
  readonly limited: boolean
  /** Where it begins. */
  readonly start: Point
  /** The earliest event after `start`, shown or not; `undefined` if there is none. */
  readonly first: StoredEvent | undefined
}

export interface TimelinePart {
  /** After this position in the stream; from the beginning of the room if it is not given. */
  readonly since: number | undefined
  readonly to: number
  readonly filter: RoomEventFilter
  /** Whose events are left out, but for state. */
  readonly ignored: ReadonlySet<string>
}

export async function roomTimeline(
  rooms: HistoryRooms,
  access: RoomAccess,
  { since, to, filter, ignored }: TimelinePart,
): Promise<RoomTimeline> {
  const limit = Math.min(filter.limit ?? limitDefault, limitMax)
  const events: VisibleEvent[] = []
  let start = beginning(access, to)
  let first: StoredEvent | undefined
  const end = (limited: boolean): RoomTimeline => ({
    events: events.toReversed(),
    limited,
    start,
    first,
  })
  for (let lookedAt = 0; lookedAt < lookedAtMax; ) {
    const batch = await readBack(rooms, access, { from: backwardsFrom(start), since, limit })
    const reached = upToGap(batch, since !== undefined)
    // All that is left lies behind a gap, or nothing is left at all.
    if (reached.length === 0) {
      if (batch.length > 0) return end(true)
      if (since !== undefined) start = afterStream(since)
      return end(false)
    }
    if (limit === 0) return end(true)
    lookedAt += reached.length
    const visible = await visibleEvents(rooms, access, reached)
    const taken = visible
      // Servers must still send state events sent by ignored users to clients.
      .filter(({ stored: { pdu } }) => pdu.state_key !== undefined || !ignored.has(pdu.sender))
      .filter(({ stored }) => filter.matches(stored.pdu))
      .slice(0, limit - events.length)
    events.push(...taken)
    const isFull = events.length === limit
    first = isFull ? events.at(-1)?.stored : reached.at(-1)
    if (first?.position !== undefined) start = beforeEvent(first.position)
    if (first?.gapBefore) return end(true)
    if (isFull) {
      const further = batch[batch.indexOf(first as StoredEvent) + 1]
      return end(further !== undefined || (await isMore(rooms, access, { start, since })))
    }
  }
  return end(true)
}

/** The point from which a timeline goes back: what is settled, or where the user left. */
function beginning({ left }: RoomAccess, to: number): Point {
  return left === undefined || left.position.stream > to
    ? afterStream(to)
    : afterEvent(left.position)
}

function readBack(
  rooms: HistoryRooms,
  { roomId }: RoomAccess,
  part: { from: Position; since: number | undefined; limit: number },
): Promise<StoredEvent[]> {
  const { from, since, limit } = part
  return rooms.timeline(roomId, {
    from,
    ...(since !== undefined && { until: forwardsFrom(afterStream(since)) }),
    direction: 'backwards',
    limit: limit + 1,
  })
}

async function isMore(
  rooms: HistoryRooms,
  access: RoomAccess,
  { start, since }: { readonly start: Point; readonly since: number | undefined },
): Promise<boolean> {
  const from = backwardsFrom(start)
  return (await readBack(rooms, access, { from, since, limit: 0 })).length > 0
}

/** The events before which nothing is missing and, for `liveOnly`, nothing was fetched later. */
function upToGap(batch: readonly StoredEvent[], liveOnly: boolean): StoredEvent[] {
  const gap = batch.findIndex(({ gapBefore }) => gapBefore)
  const reached = gap === -1 ? batch : batch.slice(0, gap + 1)
  const history = liveOnly ? reached.findIndex(({ position }) => (position?.sub ?? 0) < 0) : -1
  return history === -1 ? [...reached] : reached.slice(0, history)
}
