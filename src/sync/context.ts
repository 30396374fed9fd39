/**
 * Single events, and what stands around them.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#event-context
 *
 * @module
 */

import type { EventId } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { StateView } from '#rooms/rooms.ts'
import type { RoomEventFilter } from './filter.ts'
import { collect, type HistoryNeeds } from './messages.ts'
import { type Presentation, presentEvents, presentState } from './present-events.ts'
import { type HistoryRooms, type RoomAccess, readableState } from './room-access.ts'
import { afterEvent, beforeEvent, formatToken, type Point } from './token.ts'
import { type VisibleEvent, visibleEvents } from './visible-events.ts'

/** An event that the user may see. Throws 404 if there is none, for whatever reason. */
export async function visibleEvent(
  rooms: HistoryRooms,
  access: RoomAccess,
  eventId: EventId,
): Promise<VisibleEvent> {
  const event = await tryVisibleEvent(rooms, access, eventId)
  if (event !== undefined) return event
  throw new MatrixError(404, 'M_NOT_FOUND', 'There is no such event, or you may not see it.')
}

/** The same, or `undefined` if there is none. */
export async function tryVisibleEvent(
  rooms: HistoryRooms,
  access: RoomAccess,
  eventId: EventId,
): Promise<VisibleEvent | undefined> {
  const stored = await rooms.event(access.roomId, eventId)
  if (stored?.position !== undefined) {
    const [visible] = await visibleEvents(rooms, access, [stored])
    if (visible !== undefined) return visible
  } else if (stored?.status === 'outlier' && stored.pdu.state_key !== undefined) {
    // State that came with a room stands nowhere in its timeline, but is seen as long as it holds.
    const state = await readableState(rooms, access)
    if (state.eventId(stored.pdu.type, stored.pdu.state_key) === eventId) {
      return { stored, membership: undefined, replaces: undefined }
    }
  }
  return undefined
}

export interface ContextRequest {
  readonly access: RoomAccess
  readonly deviceId: string
  readonly eventId: EventId
  readonly limit: number
  readonly filter: RoomEventFilter
}

export interface EventContext {
  readonly start: string
  readonly end: string
  readonly event: JsonObject
  readonly events_before: JsonObject[]
  readonly events_after: JsonObject[]
  readonly state: JsonObject[]
}

export async function eventContext(
  needs: HistoryNeeds,
  { access, deviceId, eventId, limit, filter }: ContextRequest,
): Promise<EventContext> {
  const presentation: Presentation = { access, deviceId, room: 'with', relations: 'bundled' }
  const event = await visibleEvent(needs.rooms, access, eventId)
  // The limit applies to the sum of the events_before and events_after arrays. The filter is not
  // applied to the event itself.
  const beforeMax = Math.floor(limit / 2)
  const around = async (direction: 'backwards' | 'forwards', from: Point, max: number) => {
    if (max === 0 || !filter.matchesRoom(access.roomId)) return []
    const page = { access, direction, from, to: undefined, limit: max, filter }
    return (await collect(needs, page, from)).events
  }
  const { position } = event.stored
  const before = position ? await around('backwards', beforeEvent(position), beforeMax) : []
  const after = position ? await around('forwards', afterEvent(position), limit - beforeMax) : []
  const first = before.at(-1)?.stored.position ?? position ?? { stream: 0, sub: 0 }
  const last = after.at(-1)?.stored.position ?? position ?? { stream: 0, sub: 0 }
  const [shown] = await presentEvents(needs, [event], presentation)
  return {
    start: formatToken(beforeEvent(first)),
    end: formatToken(afterEvent(last)),
    event: shown ?? {},
    events_before: await presentEvents(needs, before, presentation),
    events_after: await presentEvents(needs, after, presentation),
    state: await stateAtLast(needs, { access, filter, events: [...before, event, ...after] }),
  }
}

/** The state of the room at the last event returned. */
async function stateAtLast(
  needs: HistoryNeeds,
  shown: {
    readonly access: RoomAccess
    readonly filter: RoomEventFilter
    readonly events: readonly VisibleEvent[]
  },
): Promise<JsonObject[]> {
  const { access, filter, events } = shown
  const last = events.at(-1)
  const state: StateView =
    (last && (await needs.rooms.stateAfter(access.roomId, last.stored.pdu.event_id))) ??
    (await readableState(needs.rooms, access))
  const senders = new Set<string>(events.map(({ stored }) => stored.pdu.sender))
  const wanted = await state.events(
    (type, key) =>
      filter.matchesType(type) &&
      (type !== 'm.room.member' || !filter.lazyLoadMembers || senders.has(key)),
  )
  return presentState(
    needs,
    wanted.filter((pdu) => filter.matches(pdu)),
    { room: 'with' },
  )
}
