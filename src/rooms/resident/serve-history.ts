/**
 * What other servers may read of our rooms: single events, state, auth chains, history.
 *
 * Only servers in the room may, and those that were in it what there was until they left or were put out;
 * and only of that room: an event of another room is answered exactly like one that does not exist. Of
 * history, what none of a server's users may see is given redacted: so the graph stays whole, and nothing
 * is told.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#retrieving-events
 *
 * @module
 */

import type { EventId, RoomId, ServerName } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { RoomParts } from '../parts.ts'
import type { StateView, StoredEvent } from '../rooms.ts'
import {
  assertWhole,
  isDenied,
  readableFrom,
  readableOf,
  sharedRoom,
  unknownEvent,
} from './access.ts'
import { bytesForServer, isVisibleToOrigin } from './visible-to-server.ts'

/** The spec sets no limit; Synapse and Dendrite use 100. */
const backfillMax = 100
/** The spec sets no limit; Synapse uses 20, and so it is a limit for whoever asks Synapse too. */
const missingEventsMax = 20
/** How many events the caller may name at once. */
const namedMax = 100

/** A reading by another server. */
export interface EventRequest {
  readonly origin: ServerName
  readonly roomId: RoomId
  readonly eventId: EventId
}

/** The state before an event, and the auth chain of that state. */
export async function stateForServer(
  parts: RoomParts,
  { origin, roomId, eventId }: EventRequest,
): Promise<{ readonly state: readonly EventId[]; readonly authChain: readonly EventId[] }> {
  await readableFrom(parts, { roomId, origin }, [eventId])
  await assertWhole(parts, roomId)
  if (await parts.rooms.isStateGuessed(roomId, eventId)) throw unknownState()
  const state = await stateBeforeOf(parts, roomId, eventId)
  const ids = state.ids().map((entry) => entry.eventId)
  return { state: ids, authChain: await parts.engine.authChain(roomId, ids) }
}

/** The auth chain of an event. */
export async function authChainForServer(
  parts: RoomParts,
  { origin, roomId, eventId }: EventRequest,
): Promise<EventId[]> {
  await readableFrom(parts, { roomId, origin }, [eventId])
  const stored = await parts.rooms.event(roomId, eventId)
  if (stored === undefined) throw unknownEvent()
  return await parts.engine.authChain(roomId, [eventId])
}

/** One event, as its bytes. The request names no room, so that the room must not show either. */
export async function eventForServer(
  parts: RoomParts,
  origin: ServerName,
  eventId: EventId,
): Promise<Uint8Array> {
  const roomId = await parts.engine.roomOfEvent(eventId)
  if (roomId === undefined || !(await mayRead(parts, { roomId, eventId, origin }))) {
    throw unknownEvent()
  }
  const stored = await parts.rooms.event(roomId, eventId)
  if (stored === undefined) throw unknownEvent()
  // State that came without its place in the room is given to whoever may read the room's state.
  if (!stored.isPlaced) {
    if (stored.pdu.state_key === undefined) throw unknownEvent()
    return stored.pdu.bytes
  }
  return await bytesForServer(parts, origin, stored)
}

/** How many events near a time are looked at for one that the server may see. */
const eventsByTimeMax = 50

/** The event that was sent nearest to a time, in one direction. */
export async function eventByTimeForServer(
  parts: RoomParts,
  request: {
    readonly origin: ServerName
    readonly roomId: RoomId
    readonly ts: number
    readonly direction: 'backwards' | 'forwards'
  },
): Promise<{ readonly eventId: EventId; readonly ts: number }> {
  const { origin, roomId, ts, direction } = request
  await sharedRoom(parts, roomId, origin)
  const search = { ts, direction, limit: eventsByTimeMax }
  const near = await parts.rooms.eventsByTime(roomId, search)
  for (const found of near) {
    const stored = await parts.rooms.event(roomId, found.eventId)
    if (stored && (await isVisibleToOrigin(parts, origin, stored))) return found
  }
  throw new MatrixError(404, 'M_NOT_FOUND', `There is no event from ${ts} in this direction.`)
}

/**
 * The events and those before them, the latest first: starting from the PDU ID(s) given in the `v`
 * argument, the PDUs given in `v` and the PDUs that preceded them are retrieved, up to the total number
 * given by the `limit`.
 */
export async function backfillForServer(
  parts: RoomParts,
  request: {
    readonly origin: ServerName
    readonly roomId: RoomId
    readonly from: readonly EventId[]
    readonly limit: number
  },
): Promise<Uint8Array[]> {
  const { origin, roomId } = request
  const from = await readableFrom(parts, request, request.from.slice(0, namedMax))
  const limit = Math.min(request.limit, backfillMax)
  const known = await placed(parts, roomId, from)
  if (known.length === 0) throw unknownEvent()
  const walked = await walkBack(parts, roomId, known, { limit, seen: new Set(), minDepth: 0 })
  return await Promise.all(walked.map((event) => bytesForServer(parts, origin, event)))
}

/**
 * The events between `latest` and `earliest`, the earliest first: a breadth-first walk of the
 * `prev_events` for the `latest_events`, ignoring any events in `earliest_events` and stopping at the
 * `limit`.
 *
 * The breadth matters where a long branch meets a short one: Synapse refuses an event for good when
 * this does not bring all of its parents.
 */
export async function missingEventsForServer(
  parts: RoomParts,
  request: {
    readonly origin: ServerName
    readonly roomId: RoomId
    readonly earliest: readonly EventId[]
    readonly latest: readonly EventId[]
    readonly limit: number
    readonly minDepth: number
  },
): Promise<Uint8Array[]> {
  const { origin, roomId, minDepth } = request
  const from = await readableFrom(parts, request, request.latest.slice(0, namedMax))
  const limit = Math.min(request.limit, missingEventsMax)
  const latest = await placed(parts, roomId, from)
  const seen = new Set<EventId>([...request.earliest.slice(0, namedMax), ...request.latest])
  let border = await parentsOf(parts, roomId, latest, { seen, minDepth })
  const walked: StoredEvent[] = []
  while (border.length > 0 && walked.length < limit) {
    walked.push(...border.slice(0, limit - walked.length))
    border = await parentsOf(parts, roomId, border, { seen, minDepth })
  }
  const upwards = walked.toReversed().sort((a, b) => a.pdu.depth - b.pdu.depth)
  return await Promise.all(upwards.map((event) => bytesForServer(parts, origin, event)))
}

async function mayRead(
  parts: RoomParts,
  { roomId, eventId, origin }: EventRequest,
): Promise<boolean> {
  const state = await parts.rooms.currentState(roomId)
  if (state === undefined || (await isDenied(state, origin))) return false
  return (await readableOf(parts, { roomId, origin }, [eventId])).length > 0
}

async function stateBeforeOf(
  { rooms }: RoomParts,
  roomId: RoomId,
  eventId: EventId,
): Promise<StateView> {
  const state = await rooms.stateBefore(roomId, eventId)
  if (state === undefined) throw unknownEvent()
  return state
}

/** What is kept as the state before an event is a guess. */
function unknownState(): MatrixError {
  return new MatrixError(
    404,
    'M_NOT_FOUND',
    'This server does not know the state before this event.',
  )
}

/** Those of the events that have a place in the room. */
async function placed(
  { rooms }: RoomParts,
  roomId: RoomId,
  eventIds: readonly EventId[],
): Promise<StoredEvent[]> {
  if (eventIds.length === 0) return []
  const events = await rooms.events(roomId, eventIds)
  return events.filter(({ isPlaced }) => isPlaced)
}

interface Walk {
  readonly seen: Set<EventId>
  readonly minDepth: number
}

/**
 * Walks back from `start`, always on to the deepest event known. All of `start` is met, up to the limit:
 * others choose how deep they say their events are, and who asks for these wants them before all else.
 */
async function walkBack(
  parts: RoomParts,
  roomId: RoomId,
  start: readonly StoredEvent[],
  walk: Walk & { readonly limit: number },
): Promise<StoredEvent[]> {
  const walked: StoredEvent[] = []
  const ahead = new Set(start)
  let border = start.toSorted(byDepth)
  for (const { pdu } of start) walk.seen.add(pdu.event_id)
  while (border.length > 0 && walked.length + ahead.size < walk.limit) {
    border.sort(byDepth)
    const next = border.shift()
    if (next === undefined) break
    walked.push(next)
    ahead.delete(next)
    border = [...border, ...(await parentsOf(parts, roomId, [next], walk))]
  }
  return [...walked, ...border.filter((event) => ahead.has(event))].slice(0, walk.limit)
}

/** The deepest first. */
function byDepth(one: StoredEvent, other: StoredEvent): number {
  return other.pdu.depth - one.pdu.depth
}

/** The parents that have not been met, which are then. */
async function parentsOf(
  parts: RoomParts,
  roomId: RoomId,
  events: readonly StoredEvent[],
  { seen, minDepth }: Walk,
): Promise<StoredEvent[]> {
  const ids = new Set(events.flatMap(({ pdu }) => pdu.prev_events))
  const unseen = [...ids].filter((eventId) => !seen.has(eventId))
  for (const eventId of unseen) seen.add(eventId)
  const parents = await placed(parts, roomId, unseen)
  return parents.filter(({ pdu }) => pdu.depth >= minDepth)
}
