/**
 * All pushers at work. Those with nothing to tell are not in memory but for their keys.
 *
 * @module
 */

import { Limiter } from '#io/limiter.ts'
import { Slices } from '#io/slices.ts'
import type { RoomId, UserId } from '#protocol/identifiers/ids.ts'
import { allPushers, type PusherKey, pushersOf } from '#storage/pushers.ts'
import { PusherQueue, type PusherQueueNeeds } from './pusher-queue.ts'

export interface PushSender {
  /** Begins to tell: first what was left when the server ended. Call it once. */
  start(): Promise<void>
  /** A user may be notified of something in a room. */
  notified(userId: UserId, roomId: RoomId): void
  /** A user has read something. */
  read(userId: UserId): void
  /** A pusher was made or changed. */
  pusherSet(pusher: PusherKey): void
  close(): Promise<void>
}

/** How many gateways are spoken to at the same time. */
const requestsMax = 100

export function createPushSender(needs: Omit<PusherQueueNeeds, 'limiter'>): PushSender {
  return new Sender({ ...needs, limiter: new Limiter(requestsMax, 'pushes') })
}

class Sender implements PushSender {
  readonly #needs: PusherQueueNeeds
  /** The users who have a pusher, or had one. */
  readonly #users = new Set<UserId>()
  readonly #queues = new Map<string, PusherQueue>()
  #isStarted = false
  #isClosed = false

  constructor(needs: PusherQueueNeeds) {
    this.#needs = needs
  }

  async start(): Promise<void> {
    this.#isStarted = true
    const slices = new Slices(this.#needs.clock)
    for (const key of await allPushers(this.#needs.db)) {
      this.#users.add(key.user_id)
      // Any room may have something that was left.
      this.#wake(key, undefined)
      if (slices.isOver) await slices.next()
    }
  }

  notified(userId: UserId, roomId: RoomId): void {
    this.#wakeUser(userId, roomId)
  }

  read(userId: UserId): void {
    this.#wakeUser(userId, undefined)
  }

  pusherSet(key: PusherKey): void {
    this.#users.add(key.user_id)
    this.#queues.get(nameOf(key))?.renew()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await Promise.all([...this.#queues.values()].map((queue) => queue.close()))
  }

  #wakeUser(userId: UserId, roomId: RoomId | undefined): void {
    if (!this.#isStarted || !this.#users.has(userId)) return
    const rooms = roomId === undefined ? [] : [roomId]
    pushersOf(this.#needs.db, userId).then(
      (pushers) => {
        for (const key of pushers) this.#wake(key, rooms)
      },
      (error: unknown) => this.#needs.log.error('the pushers of a user are not known', { error }),
    )
  }

  #wake(key: PusherKey, rooms: readonly RoomId[] | undefined): void {
    if (this.#isClosed) return
    const name = nameOf(key)
    const queue = this.#queues.getOrInsertComputed(name, () => {
      const onIdle = () => this.#queues.delete(name)
      return new PusherQueue(this.#needs, key, { rooms, onIdle })
    })
    for (const roomId of rooms ?? []) queue.wake(roomId)
    if (rooms === undefined || rooms.length === 0) queue.wake()
  }
}

function nameOf({ user_id, app_id, pushkey }: PusherKey): string {
  return JSON.stringify([user_id, app_id, pushkey])
}
