/**
 * What a user may do with a room's history as a whole. Which of its events they see is decided event
 * by event, in `visible-events.ts`.
 *
 * Whoever may not read a room is answered as if the room did not exist.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#room-history-visibility
 *
 * @module
 */

import { readHistoryVisibility } from '#protocol/history-visibility.ts'
import type { EventId, RoomId, UserId } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { LocalMembership, Position, Rooms, StateView } from '#rooms/rooms.ts'

/** What is needed of the rooms to read their history. */
export type HistoryRooms = Pick<
  Rooms,
  | 'currentState'
  | 'erasedAmong'
  | 'event'
  | 'events'
  | 'lastMemberEvent'
  | 'membership'
  | 'stateAfter'
  | 'stateAtStream'
  | 'stateBefore'
  | 'statesBefore'
  | 'timeline'
>

/** How a user's stay in a room ended. */
export interface Departure {
  readonly position: Position
  /** The event by which it did; `undefined` if state resolution took their membership away. */
  readonly eventId: EventId | undefined
}

export interface RoomAccess {
  readonly roomId: RoomId
  readonly userId: UserId
  /**
   * - `joined`: in the room.
   * - `left`: not any more; they may see what they were allowed to see before they left.
   * - `peeking`: never was, but the room is world-readable.
   */
  readonly kind: 'joined' | 'left' | 'peeking'
  /** Where the user's last stay in the room ended; `undefined` if it lasts, or never was. */
  readonly left: Departure | undefined
  /** Whether all may read what is sent now, those who left too. */
  readonly worldReadable: boolean
}

/** What `userId` may read of a room. Throws 403 `M_FORBIDDEN` if it is nothing. */
export async function roomAccess(
  rooms: HistoryRooms,
  userId: UserId,
  roomId: RoomId,
): Promise<RoomAccess> {
  const access = await tryRoomAccess(rooms, userId, roomId)
  if (access !== undefined) return access
  throw new MatrixError(403, 'M_FORBIDDEN', 'You are not in this room, and never were.')
}

/** The same, or `undefined` if it is nothing. */
export async function tryRoomAccess(
  rooms: HistoryRooms,
  userId: UserId,
  roomId: RoomId,
): Promise<RoomAccess | undefined> {
  const membership = await rooms.membership(userId, roomId)
  if (membership?.membership === 'join') {
    return { roomId, userId, kind: 'joined', left: undefined, worldReadable: false }
  }
  const worldReadable = await isWorldReadable(rooms, roomId)
  // After a room is forgotten, a user will no longer be able to retrieve history for it.
  const isRemembered = membership !== undefined && !membership.forgotten
  const left = isRemembered ? await endOfLastStay(rooms, membership) : undefined
  if (left !== undefined) return { roomId, userId, kind: 'left', left, worldReadable }
  if (!worldReadable) return undefined
  return { roomId, userId, kind: 'peeking', left: undefined, worldReadable }
}

/** The state a user reads: the current one, or for those who left the one when they left. */
export async function readableState(rooms: HistoryRooms, access: RoomAccess): Promise<StateView> {
  const { roomId, left } = access
  const leftForGood = left !== undefined && !access.worldReadable
  const state = leftForGood
    ? await stateWhenLeft(rooms, roomId, left)
    : await rooms.currentState(roomId)
  if (state !== undefined) return state
  throw new MatrixError(404, 'M_NOT_FOUND', 'The state of this room is not known here.')
}

/** The state of the room as it was when the user's stay ended. */
export async function stateWhenLeft(
  rooms: Pick<Rooms, 'stateAfter' | 'stateAtStream'>,
  roomId: RoomId,
  { eventId, position }: Departure,
): Promise<StateView | undefined> {
  return eventId === undefined
    ? await rooms.stateAtStream(roomId, position.stream)
    : await rooms.stateAfter(roomId, eventId)
}

/** Refuses whoever is not in the room at the moment. */
export async function requireJoined(
  rooms: Pick<Rooms, 'membership'>,
  userId: UserId,
  roomId: RoomId,
): Promise<void> {
  const membership = await rooms.membership(userId, roomId)
  if (membership?.membership === 'join') return
  throw new MatrixError(403, 'M_FORBIDDEN', 'You are not in this room.')
}

async function isWorldReadable(rooms: HistoryRooms, roomId: RoomId): Promise<boolean> {
  const state = await rooms.currentState(roomId)
  const event = await state?.event('m.room.history_visibility', '')
  return readHistoryVisibility(event?.content) === 'world_readable'
}

/** How many changes of a user's membership are looked through for the last time they were joined. */
const membershipChangesMax = 50

/**
 * How a user who is not in the room ceased to be: they may have been kicked, then banned, then invited
 * since.
 */
async function endOfLastStay(
  rooms: HistoryRooms,
  { roomId, userId, eventId, stream }: LocalMembership,
): Promise<Departure | undefined> {
  const last = await rooms.event(roomId, eventId)
  if (last?.pdu.content.membership === 'join') {
    return { position: { stream, sub: 0 }, eventId: undefined }
  }
  // Resolution may also have brought back the end of an earlier stay, and ended a later one by it.
  if (last?.position === undefined || last.position.stream < stream) {
    const state = await rooms.stateAtStream(roomId, stream - 1)
    const member = await state?.event('m.room.member', userId)
    if (member?.content.membership === 'join') {
      return { position: { stream, sub: 0 }, eventId: undefined }
    }
  }
  let laterId = eventId
  // What came as a part of a state has no place of its own, and may be of long after they left.
  if (last?.position === undefined) {
    const placed = await rooms.lastMemberEvent(roomId, userId, stream)
    if (placed?.pdu.content.membership === 'join') {
      return { position: { stream, sub: 0 }, eventId: undefined }
    }
    laterId = placed?.pdu.event_id ?? eventId
  }
  for (let step = 0; step < membershipChangesMax; step++) {
    const before = await rooms.stateBefore(roomId, laterId)
    const earlier = await before?.event('m.room.member', userId)
    if (earlier === undefined) return undefined
    if (earlier.content.membership === 'join') {
      const position = (await rooms.event(roomId, laterId))?.position
      return position && { eventId: laterId, position }
    }
    laterId = earlier.event_id
  }
  return undefined
}
