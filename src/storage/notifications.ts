/**
 * What users are notified of, and up to where they have read.
 *
 * What is unread is what stands in the stream after the position up to which its thread, or all of the
 * room, was read. So reading changes one row, however much was read.
 *
 * @module
 */

import type { EventId, RoomId, UserId } from '#protocol/identifiers/ids.ts'
import { type Reader, sql, texts, type Writer } from './database.ts'

/** The thread of what is in none. */
export const mainThread = 'main'

export interface NotificationRow {
  readonly user_id: UserId
  readonly room_id: RoomId
  readonly thread_id: string
  readonly stream: number
  readonly event_id: EventId
  readonly highlight: number
  readonly ts: number
  readonly actions: string
}

/** Notes an event for users who have, or are about to have in this unit, a membership in its room. */
export function addNotifications(
  tx: Writer,
  userIds: readonly UserId[],
  event: Omit<NotificationRow, 'user_id'>,
): void {
  tx.run(sql`
    INSERT INTO notifications (user_id, room_id, thread_id, stream, event_id, highlight, ts, actions)
    SELECT user_id, room_id, CAST(${event.thread_id} AS TEXT), CAST(${event.stream} AS BIGINT),
      CAST(${event.event_id} AS TEXT), CAST(${event.highlight} AS BIGINT),
      CAST(${event.ts} AS BIGINT), CAST(${event.actions} AS TEXT)
    FROM local_memberships WHERE room_id = ${event.room_id} AND user_id IN ${texts(userIds)}
  `)
}

/** An event is redacted: nobody is notified of it any more. */
export function removeNotifications(
  tx: Writer,
  event: Pick<NotificationRow, 'room_id' | 'stream' | 'thread_id'>,
): void {
  tx.run(sql`
    DELETE FROM notifications WHERE room_id = ${event.room_id} AND thread_id = ${event.thread_id}
      AND stream = ${event.stream}
      AND user_id IN (SELECT user_id FROM local_memberships WHERE room_id = ${event.room_id})
  `)
}

/** What is unread has changed for those who are in the room. */
export function touchReadPositions(tx: Writer, roomId: RoomId, changed: number): void {
  tx.run(sql`
    INSERT INTO read_positions (user_id, room_id, thread_id, position, changed)
    SELECT user_id, room_id, '', 0, CAST(${changed} AS BIGINT) FROM local_memberships
    WHERE room_id = ${roomId} AND membership = 'join'
    ON CONFLICT (user_id, room_id, thread_id) DO UPDATE SET changed = excluded.changed
  `)
}

export interface ReadPositionRow {
  readonly user_id: UserId
  readonly room_id: RoomId
  /** Empty for all of the room. */
  readonly thread_id: string
  readonly position: number
  readonly changed: number
}

/** Moves a position on; never back. What is unread has changed if there was anything before it. */
export function setReadPosition(tx: Writer, row: ReadPositionRow): void {
  const thread = row.thread_id === '' ? sql`` : sql`AND n.thread_id = ${row.thread_id}`
  tx.run(sql`
    INSERT INTO read_positions (user_id, room_id, thread_id, position, changed)
    SELECT CAST(${row.user_id} AS TEXT), CAST(${row.room_id} AS TEXT),
      CAST(${row.thread_id} AS TEXT), CAST(${row.position} AS BIGINT),
      CASE WHEN EXISTS (
        SELECT 1 FROM notifications n WHERE n.user_id = ${row.user_id}
          AND n.room_id = ${row.room_id} ${thread} AND n.stream <= ${row.position}
          AND n.stream > COALESCE((SELECT p.position FROM read_positions p
            WHERE p.user_id = ${row.user_id} AND p.room_id = ${row.room_id}
              AND p.thread_id = ${row.thread_id}), 0)
      ) THEN CAST(${row.changed} AS BIGINT) ELSE 0 END
    WHERE TRUE
    ON CONFLICT (user_id, room_id, thread_id) DO UPDATE SET position = excluded.position,
      changed = CASE WHEN excluded.changed > read_positions.changed THEN excluded.changed
        ELSE read_positions.changed END
    WHERE excluded.position > read_positions.position
  `)
}

export async function readPositions(
  db: Reader,
  userId: UserId,
  roomId: RoomId,
): Promise<Pick<ReadPositionRow, 'changed' | 'position' | 'thread_id'>[]> {
  return await db.all(sql`
    SELECT thread_id, position, changed FROM read_positions
    WHERE user_id = ${userId} AND room_id = ${roomId}
  `)
}

/** The rooms in which what is unread changed by reading after `from`, up to and including `to`. */
export async function roomsReadSince(
  db: Reader,
  userId: UserId,
  { from, to }: { readonly from: number; readonly to: number },
): Promise<RoomId[]> {
  const rows = await db.all<{ room_id: RoomId }>(sql`
    SELECT DISTINCT room_id FROM read_positions
    WHERE user_id = ${userId} AND changed > ${from} AND changed <= ${to}
  `)
  return rows.map(({ room_id }) => room_id)
}

export interface ThreadCount {
  readonly thread_id: string
  readonly notifications: number
  readonly highlights: number
}

/** How much of the main timeline of a room a user is notified of in a part of the stream. */
export async function countMain(
  db: Reader,
  userId: UserId,
  roomId: RoomId,
  { from, to }: { readonly from: number; readonly to: number },
): Promise<ThreadCount> {
  const row = await db.first<Omit<ThreadCount, 'thread_id'>>(sql`
    SELECT COUNT(*) AS notifications, CAST(COALESCE(SUM(highlight), 0) AS BIGINT) AS highlights
    FROM notifications WHERE user_id = ${userId} AND room_id = ${roomId}
      AND thread_id = ${mainThread} AND stream > ${from} AND stream <= ${to}
  `)
  return { thread_id: mainThread, notifications: 0, highlights: 0, ...row }
}

/** Whether a user is notified of anything in a room after a position of the stream. */
export async function hasNotifications(
  db: Reader,
  userId: UserId,
  roomId: RoomId,
  { from, to }: { readonly from: number; readonly to: number },
): Promise<boolean> {
  const row = await db.first(sql`
    SELECT 1 AS found FROM notifications WHERE user_id = ${userId} AND room_id = ${roomId}
      AND stream > ${from} AND stream <= ${to} LIMIT 1
  `)
  return row !== undefined
}

/** The same for each thread of it, as far as it is not read. */
export async function countThreads(
  db: Reader,
  userId: UserId,
  roomId: RoomId,
  { from, to }: { readonly from: number; readonly to: number },
): Promise<ThreadCount[]> {
  return await db.all<ThreadCount>(sql`
    SELECT n.thread_id AS thread_id, COUNT(*) AS notifications,
      CAST(SUM(n.highlight) AS BIGINT) AS highlights
    FROM notifications n LEFT JOIN read_positions p ON p.user_id = n.user_id
      AND p.room_id = n.room_id AND p.thread_id = n.thread_id
    WHERE n.user_id = ${userId} AND n.room_id = ${roomId} AND n.thread_id < ${mainThread}
      AND n.stream > ${from} AND n.stream <= ${to} AND n.stream > COALESCE(p.position, 0)
    GROUP BY n.thread_id
  `)
}

/** How much is unread in all rooms that a user is in, or is invited to. */
export async function countUnread(db: Reader, userId: UserId): Promise<number> {
  const row = await db.first<{ count: number }>(sql`
    SELECT COUNT(*) AS count FROM notifications n
      JOIN local_memberships m ON m.user_id = n.user_id AND m.room_id = n.room_id
      LEFT JOIN read_positions a ON a.user_id = n.user_id AND a.room_id = n.room_id
        AND a.thread_id = ''
      LEFT JOIN read_positions t ON t.user_id = n.user_id AND t.room_id = n.room_id
        AND t.thread_id = n.thread_id
    WHERE n.user_id = ${userId} AND m.membership IN ('join', 'invite')
      AND n.stream > COALESCE(a.position, 0) AND n.stream > COALESCE(t.position, 0)
  `)
  return Number(row?.count ?? 0)
}

/** What a user was notified of before a position of the stream, the newest first. */
export async function notificationsBefore(
  db: Reader,
  userId: UserId,
  wanted: { readonly before: number; readonly limit: number; readonly highlights: boolean },
): Promise<(NotificationRow & { readonly read: number })[]> {
  const which = wanted.highlights ? sql`AND n.highlight = 1` : sql``
  return await db.all(sql`
    SELECT n.user_id AS user_id, n.room_id AS room_id, n.thread_id AS thread_id,
      n.stream AS stream, n.event_id AS event_id, n.highlight AS highlight, n.ts AS ts,
      n.actions AS actions,
      CASE WHEN n.stream > COALESCE(a.position, 0) AND n.stream > COALESCE(t.position, 0)
        THEN 0 ELSE 1 END AS "read"
    FROM notifications n
      LEFT JOIN read_positions a ON a.user_id = n.user_id AND a.room_id = n.room_id
        AND a.thread_id = ''
      LEFT JOIN read_positions t ON t.user_id = n.user_id AND t.room_id = n.room_id
        AND t.thread_id = n.thread_id
    WHERE n.user_id = ${userId} AND n.stream < ${wanted.before} ${which}
    ORDER BY n.stream DESC LIMIT ${wanted.limit}
  `)
}
