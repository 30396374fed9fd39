/**
 * Which threads users want to hear of.
 *
 * Only the last change of each thread is kept, at its place in the stream: a thread that was left is
 * not subscribed to again for an event from before that.
 *
 * https://github.com/matrix-org/matrix-spec-proposals/pull/4306
 *
 * @module
 */

import { Turns } from '#io/turns.ts'
import type { EventId, RoomId, UserId } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Database } from '#storage/database.ts'
import type { Streams } from '#storage/streams.ts'
import {
  countThreadSubscriptions,
  lastThreadSubscriptions,
  setThreadSubscription,
  type ThreadSubscriptionRow,
  threadSubscribers,
  threadSubscription,
  usersWithSubscriptions,
} from '#storage/thread-subscriptions.ts'

/** How many threads of a user are known, those they have left among them. */
const threadsMax = 20_000

/** A thread, by its root. */
export interface Thread {
  readonly roomId: RoomId
  readonly rootId: EventId
}

/** What became of a thread of a user. */
export interface SubscriptionChange extends Thread {
  readonly subscribed: boolean
  /** Whether a client subscribed without being told to. */
  readonly automatic: boolean
  readonly stream: number
}

export interface SubscriptionChanges {
  /** The newest first. */
  readonly changes: readonly SubscriptionChange[]
  /** Up to where there are older ones in the range; `undefined` if there are none. */
  readonly olderUpTo: number | undefined
}

export interface ThreadSubscriptions {
  /** `undefined` if the user is not subscribed. */
  get(userId: UserId, thread: Thread): Promise<{ readonly automatic: boolean } | undefined>
  /**
   * Subscribes a user, by their own wish or for an event with this place in the stream. A subscription
   * by their own wish stays one. Throws a 409 if they left the thread after that event, a 400 if they
   * have too many threads.
   */
  subscribe(userId: UserId, thread: Thread, cause?: { readonly stream: number }): Promise<void>
  unsubscribe(userId: UserId, thread: Thread): Promise<void>
  /** What changed after `from`, up to and including `to`: at most `limit` threads, the last ones. */
  changes(
    userId: UserId,
    range: { readonly from: number; readonly to: number; readonly limit: number },
  ): Promise<SubscriptionChanges>
  /**
   * Which of some users are subscribed to a thread. Who has never subscribed to any has clients that
   * know nothing of subscriptions, and is not in it.
   */
  among(userIds: readonly UserId[], thread: Thread): Promise<ReadonlyMap<UserId, boolean>>
  /** Calls `listener` after each change. */
  onChange(listener: (userId: UserId, stream: number) => void): void
}

export function createThreadSubscriptions(needs: {
  readonly db: Database
  readonly streams: Pick<Streams, 'write'>
}): ThreadSubscriptions {
  const { db } = needs
  const turns = new Turns('thread subscriptions')
  const listeners: ((userId: UserId, stream: number) => void)[] = []
  const write = async (userId: UserId, row: Omit<ThreadSubscriptionRow, 'stream'>) => {
    const stream = await needs.streams.write(1, (tx, stream) => {
      setThreadSubscription(tx, userId, { ...row, stream })
      return stream
    })
    for (const listener of listeners) listener(userId, stream)
  }
  return {
    get: async (userId, thread) => {
      const row = await threadSubscription(db, userId, keyOf(thread))
      return row?.subscribed === 1 ? { automatic: row.automatic === 1 } : undefined
    },
    subscribe: (userId, thread, cause) =>
      turns.run(userId, async () => {
        const known = await threadSubscription(db, userId, keyOf(thread))
        if (known?.subscribed === 1 && (cause !== undefined || known.automatic === 0)) return
        if (known?.subscribed === 0 && cause !== undefined) checkCause(known, cause)
        if (known === undefined) await checkCount(db, userId)
        const automatic = Number(cause !== undefined)
        await write(userId, { ...keyOf(thread), subscribed: 1, automatic })
      }),
    unsubscribe: (userId, thread) =>
      turns.run(userId, async () => {
        const known = await threadSubscription(db, userId, keyOf(thread))
        if (known?.subscribed !== 1) return
        await write(userId, { ...keyOf(thread), subscribed: 0, automatic: 0 })
      }),
    changes: async (userId, { from, to, limit }) => {
      const rows = await lastThreadSubscriptions(db, userId, { from, to, limit: limit + 1 })
      return { changes: rows.slice(0, limit).map(changeFrom), olderUpTo: rows[limit]?.stream }
    },
    among: async (userIds, thread) => {
      const users = await usersWithSubscriptions(db, userIds)
      if (users.length === 0) return new Map()
      const subscribers = new Set(await threadSubscribers(db, keyOf(thread)))
      return new Map(users.map((userId) => [userId, subscribers.has(userId)]))
    },
    onChange: (listener) => {
      listeners.push(listener)
    },
  }
}

/**
 * The server will skip the subscription if it determines that the automatic subscription is for an event
 * that was already acknowledged at the time a manual unsubscription was requested.
 */
function checkCause(left: ThreadSubscriptionRow, cause: { readonly stream: number }): void {
  if (cause.stream > left.stream) return
  const message = 'This thread was unsubscribed from after that event.'
  throw new MatrixError(409, 'IO.ELEMENT.MSC4306.M_CONFLICTING_UNSUBSCRIPTION', message)
}

async function checkCount(db: Database, userId: UserId): Promise<void> {
  if ((await countThreadSubscriptions(db, userId)) < threadsMax) return
  const message = `You have subscribed to ${threadsMax} threads already.`
  throw new MatrixError(400, 'M_RESOURCE_LIMIT_EXCEEDED', message)
}

function keyOf({ roomId, rootId }: Thread): Pick<ThreadSubscriptionRow, 'room_id' | 'root_id'> {
  return { room_id: roomId, root_id: rootId }
}

function changeFrom(row: ThreadSubscriptionRow): SubscriptionChange {
  return {
    roomId: row.room_id,
    rootId: row.root_id,
    subscribed: row.subscribed === 1,
    automatic: row.automatic === 1,
    stream: row.stream,
  }
}
