/**
 * Paging through a room's history in either direction.
 *
 * Pages follow the room's one order on this server, so that they neither repeat nor leave out what
 * `/sync` gave. Where history is missing here, other servers are asked for it before a page goes on
 * past the gap: what they give stands between the events on its two sides.
 *
 * A page is over when it is full, when nothing is left, or when enough events were looked at: those
 * the user may not see, or does not want to, take work too. Its `end` is where it came to, so a page
 * without events still leads on.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidmessages
 *
 * @module
 */

import type { JsonObject } from '#protocol/json.ts'
import type { Pdu } from '#protocol/pdu.ts'
import type { Position, Rooms, StoredEvent } from '#rooms/rooms.ts'
import type { RoomEventFilter } from './filter.ts'
import { ignoredUsers } from './ignored-users.ts'
import { type PresentingNeeds, presentEvents, presentState } from './present-events.ts'
import { type RoomAccess, readableState } from './room-access.ts'
import {
  afterEvent,
  afterStream,
  backwardsFrom,
  beforeEvent,
  comparePositions,
  formatToken,
  forwardsFrom,
  type Point,
} from './token.ts'
import { type VisibleEvent, visibleEvents } from './visible-events.ts'

/** How many events of a page are looked at, for each that may be in it. */
const lookedAtFactor = 10
const lookedAtMin = 500

/** How often other servers are asked for history while somebody waits for a page. */
const fillsMax = 2
/** How many events are asked for at least: pages are small, requests cost time. */
const fillSize = 100

export interface HistoryNeeds extends PresentingNeeds {
  readonly rooms: PresentingNeeds['rooms'] & Pick<Rooms, 'fillHistory'>
  /** Up to where the stream is complete. */
  readonly streams: { settled(): number }
}

export interface PageRequest {
  readonly access: RoomAccess
  readonly deviceId: string
  readonly direction: 'backwards' | 'forwards'
  /** Where to start; by default at the end or the start of what there is. */
  readonly from: Point | undefined
  readonly to: Point | undefined
  readonly limit: number
  readonly filter: RoomEventFilter
}

export interface Page {
  readonly start: string
  readonly end?: string
  readonly chunk: JsonObject[]
  readonly state?: JsonObject[]
}

export async function messages(needs: HistoryNeeds, request: PageRequest): Promise<Page> {
  const { access, deviceId, direction, filter } = request
  const first = direction === 'backwards' ? afterStream(needs.streams.settled()) : afterStream(0)
  const from = request.from ?? first
  const start = formatToken(from)
  if (!filter.matchesRoom(access.roomId)) return { start, chunk: [] }
  const { events, end } = await collect(needs, request, from)
  const presentation = { access, deviceId, room: 'with', relations: 'bundled' } as const
  const chunk = await presentEvents(needs, events, presentation)
  const state = filter.lazyLoadMembers ? await senders(needs, access, events) : []
  return {
    start,
    ...(end !== undefined && { end: formatToken(end) }),
    chunk,
    ...(state.length > 0 && { state: presentState(needs, state, { room: 'with' }) }),
  }
}

/** The events of a page, and where it ended; nothing there if no further events are available. */
export async function collect(
  needs: HistoryNeeds,
  { access, direction, to, limit, filter }: Omit<PageRequest, 'deviceId'>,
  from: Point,
): Promise<{ events: VisibleEvent[]; end: Point | undefined }> {
  const walk = await new Walk(needs, access, { direction, from, to }).begin()
  const ignored = new Set<string>(await ignoredUsers(needs.db, access.userId))
  const isWanted = ({ stored: { pdu } }: VisibleEvent) =>
    // Servers must still send state events sent by ignored users to clients.
    filter.matches(pdu) && (pdu.state_key !== undefined || !ignored.has(pdu.sender))
  const events: VisibleEvent[] = []
  let budget = Math.max(lookedAtMin, limit * lookedAtFactor)
  while (budget > 0) {
    const batch = await walk.next(Math.min(budget, limit + 10))
    if (batch === 'later') return { events, end: walk.here() }
    if (batch.length === 0) return { events, end: undefined }
    budget -= batch.length
    for (const event of await visibleEvents(needs.rooms, access, batch)) {
      if (!isWanted(event)) continue
      events.push(event)
      if (events.length === limit) {
        return { events, end: await walk.endAt(event.stored) }
      }
    }
  }
  return { events, end: walk.here() }
}

/** A way through the events of a room that fills gaps before it goes past them. */
class Walk {
  readonly #needs: HistoryNeeds
  readonly #access: RoomAccess
  readonly #direction: 'backwards' | 'forwards'
  readonly #until: Position | undefined
  #cursor: Position
  #fillsLeft = fillsMax
  /** Going back: the event in whose past the way goes on, if it is missing here. */
  #gap: Position | undefined
  /** Going forwards: the event before which nothing more can be had. */
  #passed: Position | undefined

  constructor(
    needs: HistoryNeeds,
    access: RoomAccess,
    way: { direction: 'backwards' | 'forwards'; from: Point; to: Point | undefined },
  ) {
    const { left, worldReadable } = access
    // Who left sees no events received after they left, and need not walk through them.
    const last = left && !worldReadable ? backwardsFrom(afterEvent(left.position)) : undefined
    const isForwards = way.direction === 'forwards'
    this.#needs = needs
    this.#access = access
    this.#direction = way.direction
    this.#cursor = isForwards ? forwardsFrom(way.from) : earlier(backwardsFrom(way.from), last)
    const to = way.to && (isForwards ? backwardsFrom(way.to) : forwardsFrom(way.to))
    this.#until = isForwards ? (to === undefined ? last : earlier(to, last)) : to
  }

  /** Finds out whether there is a gap right where the way begins. */
  async begin(): Promise<this> {
    if (this.#direction === 'forwards') return this
    const here = await this.#at(this.#cursor)
    if (here !== undefined) this.#noteGap(here)
    return this
  }

  async #at(position: Position): Promise<StoredEvent | undefined> {
    const { stream, sub } = position
    const [here] = await this.#needs.rooms.timeline(this.#access.roomId, {
      from: { stream, sub: sub - 1 },
      direction: 'forwards',
      limit: 1,
    })
    if (here?.position === undefined) return undefined
    return comparePositions(here.position, position) === 0 ? here : undefined
  }

  /** The next events on the way, at most `limit`; none at its end; `later` if that takes too long. */
  async next(limit: number): Promise<StoredEvent[] | 'later'> {
    return this.#direction === 'backwards' ? this.#nextBack(limit) : this.#nextForwards(limit)
  }

  async #nextBack(limit: number): Promise<StoredEvent[] | 'later'> {
    while (this.#gap !== undefined) {
      const filled = await this.#fill(this.#gap, limit)
      if (filled === 'later') return 'later'
      // What was refused of it stands nowhere, and history goes on behind that.
      if (filled === 'nothing' || !(await this.#isStillRightBefore(this.#gap)))
        this.#gap = undefined
    }
    const batch = await this.#read(limit)
    const gap = batch.findIndex(({ gapBefore }) => gapBefore)
    return this.#advance(gap === -1 ? batch : batch.slice(0, gap + 1))
  }

  /** Whether history is still missing right before an event, and nothing of what came has its place there. */
  async #isStillRightBefore(position: Position): Promise<boolean> {
    const [before] = await this.#read(1)
    if (before?.position?.stream === position.stream) return false
    return (await this.#at(position))?.gapBefore === true
  }

  async #nextForwards(limit: number): Promise<StoredEvent[] | 'later'> {
    for (;;) {
      const batch = await this.#read(limit)
      const gap = batch.findIndex(
        ({ gapBefore, position }) => gapBefore && !this.#isPassed(position),
      )
      if (gap !== 0) return this.#advance(gap === -1 ? batch : batch.slice(0, gap))
      const position = batch[0]?.position
      const filled = position === undefined ? 'nothing' : await this.#fill(position, limit)
      if (filled === 'later') return 'later'
      if (filled === 'nothing') this.#passed = position
    }
  }

  /** The point right after an event, in the direction of the way; `undefined` at its end. */
  async endAt(event: StoredEvent): Promise<Point | undefined> {
    if (event.position === undefined) return undefined
    this.#cursor = event.position
    if (this.#direction === 'backwards' && event.gapBefore) return this.here()
    const [further] = await this.#read(1)
    return further && this.here()
  }

  /** Where the way has come to. */
  here(): Point {
    return this.#direction === 'backwards' ? beforeEvent(this.#cursor) : afterEvent(this.#cursor)
  }

  #read(limit: number): Promise<StoredEvent[]> {
    const { roomId } = this.#access
    return this.#needs.rooms.timeline(roomId, {
      from: this.#cursor,
      ...(this.#until !== undefined && { until: this.#until }),
      direction: this.#direction,
      limit,
    })
  }

  #advance(batch: StoredEvent[]): StoredEvent[] {
    const last = batch.at(-1)
    this.#cursor = last?.position ?? this.#cursor
    if (last !== undefined) this.#noteGap(last)
    return batch
  }

  #noteGap(event: StoredEvent): void {
    this.#gap = event.gapBefore ? event.position : undefined
  }

  #isPassed(position: Position | undefined): boolean {
    if (position === undefined || this.#passed === undefined) return false
    return comparePositions(position, this.#passed) === 0
  }

  /** Asks other servers for what is missing before an event. */
  async #fill(position: Position, limit: number): Promise<'brought' | 'nothing' | 'later'> {
    if (this.#fillsLeft === 0) return 'later'
    this.#fillsLeft -= 1
    const { roomId } = this.#access
    const count = await this.#needs.rooms.fillHistory(roomId, position, Math.max(limit, fillSize))
    return count > 0 ? 'brought' : 'nothing'
  }
}

function earlier(a: Position, b: Position | undefined): Position {
  return b !== undefined && comparePositions(b, a) < 0 ? b : a
}

/** The member events of those who sent the events, as they were at the first of them. */
async function senders(
  { rooms }: HistoryNeeds,
  access: RoomAccess,
  events: readonly VisibleEvent[],
): Promise<Pdu[]> {
  const [first] = events
  if (first === undefined) return []
  const userIds = new Set<string>(events.map(({ stored }) => stored.pdu.sender))
  const state =
    (await rooms.stateAfter(access.roomId, first.stored.pdu.event_id)) ??
    (await readableState(rooms, access))
  return await state.events((type, key) => type === 'm.room.member' && userIds.has(key))
}
