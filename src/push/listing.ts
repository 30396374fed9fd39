/**
 * What a user was notified of.
 *
 * @module
 */

import type { EventId, RoomId, UserId } from '#protocol/identifiers/ids.ts'
import type { PushAction } from '#protocol/push-rules/ruleset.ts'
import type { Reader } from '#storage/database.ts'
import { notificationsBefore } from '#storage/notifications.ts'
import { unpackActions } from './actions.ts'

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
  readonly limit: number
  readonly highlights: boolean
}

/** The newest first. */
export async function listNotifications(
  db: Reader,
  userId: UserId,
  { before = Number.MAX_SAFE_INTEGER, limit, highlights }: ListWish,
): Promise<ListedNotification[]> {
  const rows = await notificationsBefore(db, userId, { before, limit, highlights })
  return rows.map((row) => ({
    roomId: row.room_id,
    eventId: row.event_id,
    stream: row.stream,
    ts: row.ts,
    actions: unpackActions(row.actions),
    isRead: row.read === 1,
  }))
}
