/**
 * One pusher at work: it tells its gateway of what its user is notified of, one after the other, until
 * nothing is left or the gateway fails.
 *
 * What is to be told is what stands in the store after the position up to which the pusher is done, and
 * is not read yet. So nothing is lost by a crash; told twice is at most the one that was under way, which
 * gateways recognise by its `event_id`.
 *
 * @module
 */

import type { Clock, Timer } from '#io/clock.ts'
import type { HttpClient } from '#io/http.ts'
import type { Limiter } from '#io/limiter.ts'
import type { Log } from '#io/log.ts'
import type { Random } from '#io/random.ts'
import type { RoomId } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'
import type { Rooms } from '#rooms/rooms.ts'
import type { Database } from '#storage/database.ts'
import {
  deletePusher,
  type PusherKey,
  type PusherRow,
  pusherOf,
  setPusherDone,
} from '#storage/pushers.ts'
import type { Streams } from '#storage/streams.ts'
import { tellGateway } from './gateway.ts'
import { countsBody, eventBody, type Waiting } from './notification-body.ts'
import { dataOf } from './pushers.ts'
import type { Unread } from './unread.ts'
import { stillWaiting, waitingIn } from './waiting.ts'

export interface PusherQueueNeeds {
  readonly db: Database
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly streams: Pick<Streams, 'settled'>
  readonly rooms: Pick<Rooms, 'currentState' | 'event' | 'membership' | 'membershipsOf'>
  readonly outboundHttpClient: Pick<HttpClient, 'request'>
  readonly unread: Pick<Unread, 'total'>
  /** How many gateways are spoken to at the same time. */
  readonly limiter: Limiter
}

/** The pauses after failures: the first, and the longest. */
const pauseMsMin = 1_000
const pauseMsMax = 3_600_000
/** Pauses are shortened or lengthened by as much. */
const jitter = 0.2
/** How often a gateway may refuse a notification before it is passed over. */
const patience = 3
/** A pause after a mistake of ours. */
const mistakeMs = 60_000

export class PusherQueue {
  readonly #needs: PusherQueueNeeds
  readonly #key: PusherKey
  readonly #onIdle: () => void
  readonly #abort = new AbortController()
  /** The rooms in which something may wait; `undefined` for any that the user has to do with. */
  #rooms: Set<RoomId> | undefined
  #pauseMs = 0
  #refusals = 0
  #timer: Timer | undefined
  #running: Promise<void> | undefined
  #isWoken = false

  constructor(
    needs: PusherQueueNeeds,
    key: PusherKey,
    options: { readonly rooms: readonly RoomId[] | undefined; readonly onIdle: () => void },
  ) {
    this.#needs = needs
    this.#key = key
    this.#rooms = options.rooms && new Set(options.rooms)
    this.#onIdle = options.onIdle
  }

  /** There may be something to tell, in a room or of what was read. */
  wake(roomId?: RoomId): void {
    if (roomId !== undefined) this.#rooms?.add(roomId)
    this.#isWoken = true
    if (this.#running !== undefined || this.#timer !== undefined) return
    if (!this.#abort.signal.aborted) this.#running = this.#run()
  }

  /** The pusher was set anew: its gateway may be another. */
  renew(): void {
    this.#pauseMs = 0
    this.#refusals = 0
    this.#timer?.cancel()
    this.#timer = undefined
    this.wake()
  }

  async close(): Promise<void> {
    this.#abort.abort()
    this.#timer?.cancel()
    await this.#running
  }

  async #run(): Promise<void> {
    let pauseMs = 0
    try {
      pauseMs = await this.#tellAll()
    } catch (error) {
      if (!this.#abort.signal.aborted) {
        this.#needs.log.error('a pusher stopped for a mistake of ours', { error })
      }
      pauseMs = mistakeMs
    }
    this.#running = undefined
    if (this.#abort.signal.aborted) return
    if (pauseMs > 0) this.#sleep(pauseMs)
    else if (this.#isWoken) this.wake()
    else this.#onIdle()
  }

  #sleep(pauseMs: number): void {
    this.#timer = this.#needs.clock.after(pauseMs, () => {
      this.#timer = undefined
      this.wake()
    })
  }

  /** Tells until nothing is left; gives how long to wait if the gateway fails, else 0. */
  async #tellAll(): Promise<number> {
    while (!this.#abort.signal.aborted) {
      this.#isWoken = false
      const pusher = await pusherOf(this.#needs.db, this.#key)
      if (pusher === undefined || pusher.enabled === 0) return 0
      const waiting = await this.#lookForMore(pusher)
      if (waiting.length === 0) {
        const pauseMs = await this.#tellCounts(pusher)
        if (pauseMs > 0 || !this.#isWoken) return pauseMs
      }
      const pauseMs = await this.#tellInOrder(waiting)
      if (pauseMs > 0) return pauseMs
    }
    return 0
  }

  /** What waits. A room in which something happens while it is looked at is looked at again. */
  async #lookForMore(pusher: PusherRow): Promise<readonly Waiting[]> {
    const rooms = await this.#roomsToLookAt()
    for (const roomId of rooms) this.#rooms?.delete(roomId)
    let again: Iterable<RoomId> = rooms
    try {
      const { waiting, left } = await waitingIn(this.#needs, pusher, rooms)
      again = left
      return waiting
    } finally {
      for (const roomId of again) this.#rooms?.add(roomId)
    }
  }

  /** Gives how long to wait if the gateway fails, else 0. What was not told is looked for again. */
  async #tellInOrder(waiting: readonly Waiting[]): Promise<number> {
    let told = 0
    try {
      for (const one of waiting) {
        const pauseMs = await this.#tell(one)
        if (pauseMs > 0) return pauseMs
        told += 1
      }
      return 0
    } finally {
      for (const { roomId } of waiting.slice(told)) this.#rooms?.add(roomId)
    }
  }

  /** At first all rooms of the user; then those in which something happens. */
  async #roomsToLookAt(): Promise<readonly RoomId[]> {
    if (this.#rooms === undefined) {
      const memberships = await this.#needs.rooms.membershipsOf(this.#key.user_id)
      const present = memberships.filter(
        ({ membership }) => membership === 'join' || membership === 'invite',
      )
      this.#rooms = new Set(present.map(({ roomId }) => roomId))
    }
    return [...this.#rooms]
  }

  async #tell(one: Waiting): Promise<number> {
    const pusher = await pusherOf(this.#needs.db, this.#key)
    if (pusher === undefined || pusher.enabled === 0) return 0
    if (!(await stillWaiting(this.#needs, pusher, one))) return 0
    const badge = await this.#needs.unread.total(pusher.user_id)
    const body = await eventBody(this.#needs.rooms, pusher, one, badge)
    return await this.#send(pusher, body, { done: one.stream, badge })
  }

  /** If less is unread than the device shows, it was read elsewhere. */
  async #tellCounts(pusher: PusherRow): Promise<number> {
    const badge = await this.#needs.unread.total(pusher.user_id)
    if (badge === pusher.badge) return 0
    return await this.#send(pusher, countsBody(pusher, badge), { done: pusher.done, badge })
  }

  /** Gives how long to wait if the gateway fails, else 0. */
  async #send(
    pusher: PusherRow,
    body: JsonObject,
    after: Pick<PusherRow, 'badge' | 'done'>,
  ): Promise<number> {
    const { db, log, limiter, outboundHttpClient } = this.#needs
    const url = String(dataOf(pusher).url)
    const { signal } = this.#abort
    const answer = await limiter.run(() => tellGateway(outboundHttpClient, url, body, signal))
    if (answer.kind === 'taken') {
      this.#pauseMs = 0
      this.#refusals = 0
      const isRejected = answer.rejected.includes(pusher.pushkey)
      // Homeservers must cease sending notification requests for these pushkeys and remove the
      // associated pushers.
      await db.write((tx) => {
        if (isRejected) deletePusher(tx, pusher)
        else setPusherDone(tx, pusher, after)
      })
      return 0
    }
    log.info('a push gateway does not take a notification', { url, reason: answer.reason })
    if (answer.kind === 'refused') {
      this.#refusals += 1
      if (this.#refusals >= patience) {
        this.#refusals = 0
        await db.write((tx) => setPusherDone(tx, pusher, after))
      }
    }
    this.#pauseMs = Math.min(Math.max(2 * this.#pauseMs, pauseMsMin), pauseMsMax)
    return Math.round(this.#pauseMs * (1 - jitter + 2 * jitter * this.#needs.random.fraction()))
  }
}
