/**
 * How much users have not read.
 *
 * What was counted is kept, and the next count goes on from there: in a room where much is said and
 * little is read, nothing is counted twice.
 *
 * @module
 */

import { LRUCache } from 'lru-cache'
import type { RoomId, UserId } from '#protocol/identifiers/ids.ts'
import type { Reader } from '#storage/database.ts'
import {
  countMain,
  countThreads,
  countUnread,
  hasNotifications,
  mainThread,
  readPositions,
  roomsReadSince,
} from '#storage/notifications.ts'
import type { UnreadChanges } from './notify.ts'

export interface UnreadCount {
  readonly notifications: number
  readonly highlights: number
}

/** What is unread of a room. */
export interface RoomUnread {
  readonly main: UnreadCount
  /** Threads with anything unread, by their roots. */
  readonly threads: ReadonlyMap<string, UnreadCount>
}

interface Range {
  readonly from: number
  readonly to: number
}

export interface Unread {
  /** What a user has not read of a room, up to a position of the stream. */
  inRoom(userId: UserId, roomId: RoomId, to: number): Promise<RoomUnread>
  /** The rooms of which more was read, or something was redacted, after `from` up to `to`. */
  roomsReadSince(userId: UserId, range: Range): Promise<RoomId[]>
  /** Whether there is anything new in a room of which a user is notified. */
  isNotified(userId: UserId, roomId: RoomId, range: Range): Promise<boolean>
  /** All that is unread, in rooms that they are in or invited to. */
  total(userId: UserId): Promise<number>
  /** What was known is not so any more. */
  changed(changes: UnreadChanges): void
  /** A user has read in a room. */
  read(userId: UserId): void
}

interface Counted extends RoomUnread {
  readonly to: number
  /** Up to where the main timeline is read, and all of the room. */
  readonly mainFrom: number
  readonly roomFrom: number
  /** When the last of that changed. */
  readonly changed: number
}

/** How many counts are kept: one a user and room. */
const countsMax = 100_000

export function createUnread({ db }: { readonly db: Reader }): Unread {
  const counts = new LRUCache<string, Counted>({ maxSize: countsMax, sizeCalculation: () => 1 })
  const totals = new LRUCache<UserId, number>({ maxSize: countsMax, sizeCalculation: () => 1 })
  // A total that is counted while something changes may be from before.
  let changes = 0
  const read = (userId: UserId) => {
    changes += 1
    totals.delete(userId)
  }
  return {
    inRoom: async (userId, roomId, to) => {
      const key = `${userId} ${roomId}`
      const start = await startOf(db, userId, roomId)
      const kept = counts.get(key)
      const isUseful = kept !== undefined && kept.to <= to && kept.changed === start.changed
      const counted = await countOn(db, userId, roomId, isUseful ? kept : start, to)
      counts.set(key, counted)
      return counted
    },
    roomsReadSince: (userId, range) => roomsReadSince(db, userId, range),
    isNotified: (userId, roomId, range) => hasNotifications(db, userId, roomId, range),
    total: async (userId) => {
      const kept = totals.get(userId)
      if (kept !== undefined) return kept
      const before = changes
      const counted = await countUnread(db, userId)
      if (before === changes) totals.set(userId, counted)
      return counted
    },
    changed: ({ read: readers, isRedacted, notified }) => {
      for (const userId of readers) read(userId)
      if (isRedacted) {
        changes += 1
        totals.clear()
        counts.clear()
      }
      for (const { userId } of notified) {
        changes += 1
        const total = totals.get(userId)
        if (total !== undefined) totals.set(userId, total + 1)
      }
    },
    read,
  }
}

const none: UnreadCount = { notifications: 0, highlights: 0 }

/** Nothing counted yet, from where it is read up to. */
async function startOf(db: Reader, userId: UserId, roomId: RoomId): Promise<Counted> {
  const positions = await readPositions(db, userId, roomId)
  const of = (thread: string) =>
    positions.find(({ thread_id }) => thread_id === thread)?.position ?? 0
  const roomFrom = of('')
  const mainFrom = Math.max(roomFrom, of(mainThread))
  const changed = Math.max(0, ...positions.map((row) => row.changed))
  return { to: 0, mainFrom, roomFrom, main: none, threads: new Map(), changed }
}

async function countOn(
  db: Reader,
  userId: UserId,
  roomId: RoomId,
  start: Counted,
  to: number,
): Promise<Counted> {
  if (start.to === to) return start
  const fromMain = Math.max(start.to, start.mainFrom)
  const main = await countMain(db, userId, roomId, { from: fromMain, to })
  const fromThreads = Math.max(start.to, start.roomFrom)
  const more = await countThreads(db, userId, roomId, { from: fromThreads, to })
  const threads = new Map(start.threads)
  for (const { thread_id, ...count } of more) {
    threads.set(thread_id, sum(threads.get(thread_id) ?? none, count))
  }
  return { ...start, to, main: sum(start.main, main), threads }
}

/** Databases give counts as they like. */
function sum(a: UnreadCount, b: UnreadCount): UnreadCount {
  return {
    notifications: a.notifications + Number(b.notifications),
    highlights: a.highlights + Number(b.highlights),
  }
}

/** All of a room together. */
export function unreadOfAll({ main, threads }: RoomUnread): UnreadCount {
  return [...threads.values()].reduce(sum, main)
}
