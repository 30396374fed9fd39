/**
 * The queues of rooms: one writer a room. All jobs that wait when a turn begins are done in it, one
 * after the other, and share its commit; each is answered when that is durable.
 *
 * A room is loaded at its first turn and stays in memory while it is used. When a commit fails, what
 * is in memory is thrown away: the next turn begins with what is stored.
 *
 * @module
 */

import { LRUCache } from 'lru-cache'
import type { RoomId } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Batch } from './batch.ts'
import type { Room } from './room.ts'

interface Job {
  readonly run: (batch: Batch) => Promise<unknown>
  readonly outcome: PromiseWithResolvers<unknown>
}

interface Queue {
  readonly jobs: Job[]
  working: Promise<void> | undefined
}

/** How many jobs may share a commit. */
const jobsMax = 100
/** How many rooms are kept in memory. */
const roomsMax = 500

export class RoomQueues {
  readonly #queues = new Map<RoomId, Queue>()
  readonly #rooms = new LRUCache<RoomId, Room>({ max: roomsMax })
  readonly #loading = new Map<RoomId, Promise<Room | undefined>>()
  readonly #load: (roomId: RoomId) => Promise<Room | undefined>
  readonly #begin: (room: Room) => Batch
  readonly #commit: (batch: Batch) => Promise<void>

  constructor(needs: {
    readonly load: (roomId: RoomId) => Promise<Room | undefined>
    readonly begin: (room: Room) => Batch
    readonly commit: (batch: Batch) => Promise<void>
  }) {
    this.#load = needs.load
    this.#begin = needs.begin
    this.#commit = needs.commit
  }

  /** The room, for reading what is published. */
  async room(roomId: RoomId): Promise<Room | undefined> {
    const known = this.#rooms.get(roomId)
    if (known !== undefined) return known
    const loading = this.#loading.getOrInsertComputed(roomId, () => this.#load(roomId))
    try {
      const room = await loading
      if (room !== undefined && !this.#rooms.has(roomId)) this.#rooms.set(roomId, room)
      return this.#rooms.get(roomId)
    } finally {
      this.#loading.delete(roomId)
    }
  }

  /** Does something in the room's next turn. `undefined` if there is no such room. */
  async inTurn<T>(roomId: RoomId, run: (batch: Batch) => Promise<T>): Promise<T | undefined> {
    if ((await this.room(roomId)) === undefined) return undefined
    const outcome = Promise.withResolvers<unknown>()
    const queue = this.#queues.getOrInsertComputed(roomId, () => ({ jobs: [], working: undefined }))
    queue.jobs.push({ run, outcome })
    queue.working ??= this.#work(roomId, queue)
    return (await outcome.promise) as T
  }

  /** Commits the first batch of a room that is new here. */
  async addRoom(batch: Batch): Promise<void> {
    await this.#commit(batch)
    this.#rooms.set(batch.room.roomId, batch.room)
  }

  /** Forgets what is in memory of a room. */
  forget(roomId: RoomId): void {
    this.#rooms.delete(roomId)
  }

  async #work(roomId: RoomId, queue: Queue): Promise<void> {
    while (queue.jobs.length > 0) await this.#turn(roomId, queue.jobs.splice(0, jobsMax))
    queue.working = undefined
    this.#queues.delete(roomId)
  }

  async #turn(roomId: RoomId, jobs: readonly Job[]): Promise<void> {
    const done: { readonly job: Job; readonly value: unknown }[] = []
    try {
      const room = await this.room(roomId)
      if (room === undefined) throw new Error(`room ${roomId} is not there any more`)
      const batch = this.#begin(room)
      for (const job of jobs) await this.#run(job, batch, done)
      if (!batch.isEmpty) await this.#commit(batch)
    } catch (error) {
      this.#rooms.delete(roomId)
      for (const job of jobs) job.outcome.reject(error)
      return
    }
    for (const { job, value } of done) job.outcome.resolve(value)
  }

  /** A job that refuses has changed nothing, and harms no other. Any other error fails the turn. */
  async #run(
    job: Job,
    batch: Batch,
    done: { readonly job: Job; readonly value: unknown }[],
  ): Promise<void> {
    try {
      done.push({ job, value: await job.run(batch) })
    } catch (error) {
      if (!(error instanceof MatrixError)) throw error
      job.outcome.reject(error)
    }
  }
}
