/**
 * What a user was notified of.
 *
 * @module
 */

import type { EventId, RoomId, UserId } from '#protocol/identifiers/ids.ts'
import { isHighlight } from '#protocol/push-rules/evaluate.ts'
import type { PushAction } from '#protocol/push-rules/ruleset.ts'
import type { LocalMembership, Rooms } from '#rooms/rooms.ts'
import type { Reader } from '#storage/database.ts'
import { lastNotifiedEvents, readPositions } from '#storage/notifications.ts'
import { actionsFor } from './audience.ts'

export interface ListedNotification {
  readonly roomId: RoomId
  readonly eventId: EventId
  readonly stream: number
  /** When it was noted. */
  readonly ts: number
  readonly actions: readonly PushAction[]
  readonly isRead: boolean
}

export interface ListWish {
  /** A position of the stream, itself excluded; `undefined` for the newest. */
  readonly before: number | undefined
  /** At most. */
  readonly limit: number
  readonly highlights: boolean
}

export interface ListingNeeds {
  readonly db: Reader
  readonly rooms: Pick<Rooms, 'membershipsOf'>
}

/** How many events of a room are looked at for one list. */
const lookedAtMax = 1_000

/** In the rooms that the user is in, or is invited to; the newest first. */
export async function listNotifications(
  needs: ListingNeeds,
  userId: UserId,
  wish: ListWish,
): Promise<ListedNotification[]> {
  const all: ListedNotification[] = []
  for (const membership of await needs.rooms.membershipsOf(userId)) {
    if (membership.membership !== 'join' && membership.membership !== 'invite') continue
    all.push(...(await ofRoom(needs.db, membership, wish)))
  }
  return all.sort((a, b) => b.stream - a.stream).slice(0, wish.limit)
}

async function ofRoom(
  db: Reader,
  { userId, roomId, membership }: LocalMembership,
  { before, limit, highlights }: ListWish,
): Promise<ListedNotification[]> {
  const isMember = membership === 'join'
  const positions = await readPositions(db, userId, roomId)
  const positionOf = (thread: string) =>
    positions.find(({ thread_id }) => thread_id === thread)?.position ?? 0
  const since = positions.find(({ thread_id }) => thread_id === '')?.since ?? 0
  const to = before === undefined ? Number.MAX_SAFE_INTEGER : before - 1
  const rows = await lastNotifiedEvents(
    db,
    roomId,
    { from: 0, to },
    { limit: lookedAtMax, highlights },
  )
  const found: ListedNotification[] = []
  const saidLater = new Set<string>()
  for (const { stream, thread_id, sender, audience, event_id: eventId, ts } of rows) {
    if (found.length === limit) break
    if (sender === userId) saidLater.add(thread_id)
    // What is before they came is not for them, but the invite that names them.
    const wasMember = isMember && stream > since
    const actions =
      sender === userId ? undefined : actionsFor(audience, userId, { isMember: wasMember })
    if (actions === undefined || (highlights && !isHighlight(actions))) continue
    const isRead =
      saidLater.has(thread_id) || stream <= Math.max(positionOf(''), positionOf(thread_id))
    found.push({ roomId, eventId, stream, ts, actions, isRead })
  }
  return found
}
