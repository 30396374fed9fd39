/**
 * What waits for a pusher: notifications after the position up to which it is done, that are not read
 * yet, and not too old.
 *
 * @module
 */

import type { Clock } from '#io/clock.ts'
import { Slices } from '#io/slices.ts'
import type { RoomId, UserId } from '#protocol/identifiers/ids.ts'
import type { Rooms } from '#rooms/rooms.ts'
import type { Reader } from '#storage/database.ts'
import { type NotifiedEventRow, notifiedEvents, readPositions } from '#storage/notifications.ts'
import type { PusherRow } from '#storage/pushers.ts'
import type { Streams } from '#storage/streams.ts'
import { actionsFor } from './audience.ts'
import type { Waiting } from './notification-body.ts'

/** The homeserver SHOULD retry for a reasonable amount of time: what is older is not told any more. */
const ageMsMax = 86_400_000
/** How many events of a room are looked at in one go. */
const eventsMax = 200

export interface WaitingNeeds {
  readonly db: Reader
  readonly clock: Clock
  readonly streams: Pick<Streams, 'settled'>
  readonly rooms: Pick<Rooms, 'membership'>
}

/**
 * The next ones, in the order of the stream. `left` are the rooms in which there may be more after
 * them.
 */
export async function waitingIn(
  needs: WaitingNeeds,
  { user_id: userId, done }: Pick<PusherRow, 'done' | 'user_id'>,
  roomIds: readonly RoomId[],
): Promise<{ waiting: Waiting[]; left: Set<RoomId> }> {
  const to = needs.streams.settled()
  const found: Waiting[] = []
  const left = new Set<RoomId>()
  const slices = new Slices(needs.clock)
  let end = to
  for (const roomId of roomIds) {
    if (slices.isOver) await slices.next()
    const { waiting, seenTo } = await nextIn(needs, { userId, roomId }, { from: done, to })
    found.push(...waiting)
    if (seenTo < to) left.add(roomId)
    end = Math.min(end, seenTo)
  }
  // What comes after the part of a room that was looked at comes after the rest of that room.
  for (const { roomId, stream } of found) if (stream > end) left.add(roomId)
  const waiting = found.filter(({ stream }) => stream <= end)
  return { waiting: waiting.sort((a, b) => a.stream - b.stream), left }
}

interface UserInRoom {
  readonly userId: UserId
  readonly roomId: RoomId
}

/** The next ones of a room, and up to where it was looked through. */
async function nextIn(
  needs: WaitingNeeds,
  place: UserInRoom,
  { from, to }: { readonly from: number; readonly to: number },
): Promise<{ waiting: Waiting[]; seenTo: number }> {
  const oldest = needs.clock.now() - ageMsMax
  const slices = new Slices(needs.clock)
  let seenTo = from
  for (;;) {
    const part = { from: seenTo, to }
    const rows = await notifiedEvents(needs.db, place.roomId, part, eventsMax)
    const recent = rows.filter(({ ts }) => ts >= oldest)
    const waiting = await forUser(needs, place, recent)
    if (rows.length < eventsMax) return { waiting, seenTo: to }
    seenTo = rows.at(-1)?.stream ?? to
    if (waiting.length > 0) return { waiting, seenTo }
    if (slices.isOver) await slices.next()
  }
}

/** Whether a notification was neither read nor redacted meanwhile. */
export async function stillWaiting(
  needs: WaitingNeeds,
  { user_id: userId }: Pick<PusherRow, 'user_id'>,
  { roomId, stream }: Waiting,
): Promise<boolean> {
  const part = { from: stream - 1, to: needs.streams.settled() }
  const rows = await notifiedEvents(needs.db, roomId, part, eventsMax)
  const waiting = await forUser(needs, { userId, roomId }, rows)
  return waiting.some((one) => one.stream === stream)
}

async function forUser(
  { db, rooms }: WaitingNeeds,
  { userId, roomId }: UserInRoom,
  rows: readonly NotifiedEventRow[],
): Promise<Waiting[]> {
  const membership = (await rooms.membership(userId, roomId))?.membership
  if (membership !== 'join' && membership !== 'invite') return []
  const positions = await readPositions(db, userId, roomId)
  const positionOf = (thread: string) =>
    positions.find(({ thread_id }) => thread_id === thread)?.position ?? 0
  const said = new Map<string, number>()
  for (const { sender, thread_id, stream } of rows) {
    if (sender === userId) said.set(thread_id, stream)
  }
  return rows.flatMap(({ stream, thread_id, sender, audience, event_id: eventId }) => {
    const readUpTo = Math.max(positionOf(''), positionOf(thread_id), said.get(thread_id) ?? 0)
    if (sender === userId || stream <= readUpTo) return []
    const actions = actionsFor(audience, userId, { isMember: membership === 'join' })
    return actions === undefined ? [] : [{ roomId, eventId, stream, actions }]
  })
}
