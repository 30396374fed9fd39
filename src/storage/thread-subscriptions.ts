/**
 * Which threads users want to hear of.
 *
 * @module
 */

import type { EventId, RoomId, UserId } from '#protocol/identifiers/ids.ts'
import { type Reader, sql, texts, type Writer } from './database.ts'

export interface ThreadKey {
  readonly room_id: RoomId
  readonly root_id: EventId
}

export interface ThreadSubscriptionRow extends ThreadKey {
  /** 0 if the user has left the thread. */
  readonly subscribed: number
  /** 1 if a client subscribed without being told to. */
  readonly automatic: number
  /** Where in the stream it last changed. */
  readonly stream: number
}

export function setThreadSubscription(
  tx: Writer,
  userId: UserId,
  row: ThreadSubscriptionRow,
): void {
  const { room_id, root_id, subscribed, automatic, stream } = row
  tx.run(sql`
    INSERT INTO thread_subscriptions (user_id, room_id, root_id, subscribed, automatic, stream)
    VALUES (${userId}, ${room_id}, ${root_id}, ${subscribed}, ${automatic}, ${stream})
    ON CONFLICT (user_id, room_id, root_id) DO UPDATE SET subscribed = excluded.subscribed,
      automatic = excluded.automatic, stream = excluded.stream
  `)
}

export async function threadSubscription(
  db: Reader,
  userId: UserId,
  { room_id, root_id }: ThreadKey,
): Promise<ThreadSubscriptionRow | undefined> {
  return await db.first<ThreadSubscriptionRow>(sql`
    SELECT room_id, root_id, subscribed, automatic, stream FROM thread_subscriptions
    WHERE user_id = ${userId} AND room_id = ${room_id} AND root_id = ${root_id}
  `)
}

/** What changed after `from`, up to and including `to`, the newest first. */
export async function lastThreadSubscriptions(
  db: Reader,
  userId: UserId,
  { from, to, limit }: { readonly from: number; readonly to: number; readonly limit: number },
): Promise<ThreadSubscriptionRow[]> {
  return await db.all<ThreadSubscriptionRow>(sql`
    SELECT room_id, root_id, subscribed, automatic, stream FROM thread_subscriptions
    WHERE user_id = ${userId} AND stream > ${from} AND stream <= ${to}
    ORDER BY stream DESC LIMIT ${limit}
  `)
}

export async function countThreadSubscriptions(db: Reader, userId: UserId): Promise<number> {
  const row = await db.first<{ count: number }>(sql`
    SELECT COUNT(*) AS count FROM thread_subscriptions WHERE user_id = ${userId}
  `)
  return Number(row?.count ?? 0)
}

/** Those of some users who have ever subscribed to a thread. */
export async function usersWithSubscriptions(
  db: Reader,
  userIds: readonly UserId[],
): Promise<UserId[]> {
  const rows = await db.all<{ user_id: UserId }>(sql`
    SELECT user_id FROM accounts WHERE user_id IN ${texts(userIds)} AND EXISTS (
      SELECT 1 FROM thread_subscriptions s WHERE s.user_id = accounts.user_id
    )
  `)
  return rows.map(({ user_id }) => user_id)
}

/** Who is subscribed to a thread. */
export async function threadSubscribers(
  db: Reader,
  { room_id, root_id }: ThreadKey,
): Promise<UserId[]> {
  const rows = await db.all<{ user_id: UserId }>(sql`
    SELECT user_id FROM thread_subscriptions
    WHERE room_id = ${room_id} AND root_id = ${root_id} AND subscribed = 1
  `)
  return rows.map(({ user_id }) => user_id)
}

export function deleteThreadSubscriptions(tx: Writer, userId: UserId): void {
  tx.run(sql`DELETE FROM thread_subscriptions WHERE user_id = ${userId}`)
}
