/**
 * How much users have not read.
 *
 * What was counted is kept, and the next count goes on from there: in a room where much is said and
 * little is read, nothing is counted twice.
 *
 * @module
 */

import { isDeepStrictEqual } from 'node:util'
import { LRUCache } from 'lru-cache'
import type { Clock } from '#io/clock.ts'
import { Slices } from '#io/slices.ts'
import type { RoomId, UserId } from '#protocol/identifiers/ids.ts'
import { isHighlight } from '#protocol/push-rules/evaluate.ts'
import type { Rooms } from '#rooms/rooms.ts'
import type { Reader } from '#storage/database.ts'
import {
  mainThread,
  type NotifiedEventRow,
  notifiedEvents,
  readPositions,
  roomsReadSince,
} from '#storage/notifications.ts'
import { actionsFor } from './audience.ts'
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
  /** Whether what is unread of a room has changed by what was sent. */
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
  /** Up to where each thread is read; with an empty name, all of the room. */
  readonly positions: ReadonlyMap<string, number>
  /** When the last of that changed. */
  readonly changed: number
}

/** How many counts are kept: one a user and room. */
const countsMax = 100_000

export interface UnreadNeeds {
  readonly db: Reader
  readonly clock: Clock
  readonly rooms: Pick<Rooms, 'membershipsOf'>
}

export function createUnread(needs: UnreadNeeds): Unread {
  const { db } = needs
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
      const counted = await countOn(needs, { userId, roomId, to }, isUseful ? kept : start)
      counts.set(key, counted)
      return counted
    },
    roomsReadSince: (userId, range) => roomsReadSince(db, userId, range),
    isNotified: async (userId, roomId, { from, to }) => {
      const start = await startOf(db, userId, roomId)
      const before = await countOn(needs, { userId, roomId, to: from }, start)
      const after = await countOn(needs, { userId, roomId, to }, before)
      return (
        !isDeepStrictEqual(before.main, after.main) ||
        !isDeepStrictEqual(before.threads, after.threads)
      )
    },
    total: async (userId) => {
      const kept = totals.get(userId)
      if (kept !== undefined) return kept
      const before = changes
      const counted = await countAll(needs, userId)
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
      for (const userId of notified) {
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
  const rows = await readPositions(db, userId, roomId)
  const positions = new Map(rows.map(({ thread_id, position }) => [thread_id, position]))
  const changed = Math.max(0, ...rows.map((row) => row.changed))
  return { to: 0, positions, main: none, threads: new Map(), changed }
}

/** How many events are looked at in one go: some milliseconds' worth. */
const page = 1_000

interface CountWish {
  readonly userId: UserId
  readonly roomId: RoomId
  readonly to: number
  /** Only what names the user, who is not in the room. */
  readonly isOutsider?: boolean
}

async function countOn(
  { db, clock }: UnreadNeeds,
  wish: CountWish,
  start: Counted,
): Promise<Counted> {
  const { roomId, to } = wish
  const threads = new Map([[mainThread, start.main], ...start.threads])
  const slices = new Slices(clock)
  let from = Math.max(start.to, start.positions.get('') ?? 0)
  while (from < to) {
    const rows = await notifiedEvents(db, roomId, { from, to }, page)
    for (const row of rows) countRow(threads, wish, start.positions, row)
    if (rows.length < page) break
    from = rows.at(-1)?.stream ?? to
    if (slices.isOver) await slices.next()
  }
  const main = threads.get(mainThread) ?? none
  threads.delete(mainThread)
  return { ...start, to, main, threads }
}

function countRow(
  threads: Map<string, UnreadCount>,
  { userId, isOutsider = false }: CountWish,
  positions: ReadonlyMap<string, number>,
  { thread_id: thread, sender, stream, audience }: NotifiedEventRow,
): void {
  // When the user updates their read receipt (either by using the API or by sending an event),
  // notifications prior to and including that event MUST be marked as read.
  if (sender === userId) threads.delete(thread)
  if (sender === userId || stream <= (positions.get(thread) ?? 0)) return
  const actions = actionsFor(audience, userId, { isMember: !isOutsider })
  if (actions === undefined) return
  const { notifications, highlights } = threads.get(thread) ?? none
  threads.set(thread, {
    notifications: notifications + 1,
    highlights: highlights + (isHighlight(actions) ? 1 : 0),
  })
}

/** An invite is one more: it waits for the user, too. */
async function countAll(needs: UnreadNeeds, userId: UserId): Promise<number> {
  const slices = new Slices(needs.clock)
  let total = 0
  for (const { roomId, membership } of await needs.rooms.membershipsOf(userId)) {
    if (membership !== 'join' && membership !== 'invite') continue
    const wish = {
      userId,
      roomId,
      to: Number.MAX_SAFE_INTEGER,
      isOutsider: membership === 'invite',
    }
    if (slices.isOver) await slices.next()
    const start = await startOf(needs.db, userId, roomId)
    total += unreadOfAll(await countOn(needs, wish, start)).notifications
  }
  return total
}

function sum(a: UnreadCount, b: UnreadCount): UnreadCount {
  return {
    notifications: a.notifications + b.notifications,
    highlights: a.highlights + b.highlights,
  }
}

/** All of a room together. */
export function unreadOfAll({ main, threads }: RoomUnread): UnreadCount {
  return [...threads.values()].reduce(sum, main)
}
