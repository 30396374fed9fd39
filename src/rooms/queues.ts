/**
 * The queues of rooms: one writer a room. All jobs that wait when a turn begins are done in it, one
 * after the other, and share its commit; each is answered when that is durable.
 *
 * A room is loaded when it is first asked for and stays in memory while it is used. There is never
 * more than one of it: while its queue works, or it is being made, everybody gets that one. When a
 * commit fails, what is in memory is thrown away: the next turn begins with what is stored.
 *
 * @module
 */

import { LRUCache } from 'lru-cache'
import { detached, holding, waiting } from '#io/wait-order.ts'
import type { RoomId, ServerName } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Batch } from './batch.ts'
import { FairLine } from './fair-line.ts'
import type { Room } from './room.ts'

interface Job {
  readonly run: (batch: Batch) => Promise<unknown>
  readonly outcome: PromiseWithResolvers<unknown>
  /** Whether the room is read anew from the store afterwards. Such a job has a turn of its own. */
  readonly forgets: boolean
  /** The server that sent it, if its commit has to wait in that one's line. */
  readonly behind: ServerName | undefined
}

interface Queue {
  readonly jobs: Job[]
  /** While the turn waits to commit: lets it do so at once. */
  hurry: (() => void) | undefined
  working: Promise<void> | undefined
  /** The room that the turn works on. However many others are read meanwhile, it is not forgotten. */
  room: Room | undefined
}

/** How many jobs may share a commit. */
const jobsMax = 100
/**
 * How many events that servers sent are committed at a time, of all rooms together. Commits are made in
 * the order in which they are begun, and nothing is told to clients before all of those are there: what
 * comes after them, of our own users and of other servers, waits for so much.
 */
const committedMax = 200
/**
 * How many large rooms are kept in memory, and how many small ones count as a large one. Who is in a
 * thousand rooms is given all of them at once, and to load one takes longer than all else about it.
 */
const roomsMax = 500
const smallAsLarge = 4
/** A room with less state keys is small. */
const keysOfLarge = 200
/** How many bytes of memory the events take that all rooms keep, and what a room takes without any. */
const eventBytesMax = 128 * 1024 * 1024
const emptyRoomBytes = 1024

export class RoomQueues {
  readonly #queues = new Map<RoomId, Queue>()
  readonly #rooms: LRUCache<RoomId, Room>
  /** How many bytes of events each room keeps. Who was asked for longest ago forgets its events first. */
  readonly #eventBytes: LRUCache<RoomId, number>
  readonly #loading = new Map<RoomId, Promise<Room | undefined>>()
  readonly #making = new Map<RoomId, Promise<unknown>>()
  readonly #load: (roomId: RoomId) => Promise<Room | undefined>
  readonly #begin: (room: Room) => Batch
  readonly #commit: (batch: Batch) => Promise<void>
  readonly #commits = new FairLine('line of commits', committedMax)

  constructor(needs: {
    readonly load: (roomId: RoomId) => Promise<Room | undefined>
    readonly begin: (room: Room) => Batch
    readonly commit: (batch: Batch) => Promise<void>
    readonly roomsMax?: number
    readonly eventBytesMax?: number
  }) {
    this.#rooms = new LRUCache({
      maxSize: (needs.roomsMax ?? roomsMax) * smallAsLarge,
      sizeCalculation: ({ stateKeyCount }) =>
        Math.max(
          1,
          Math.min(smallAsLarge, Math.floor((smallAsLarge * stateKeyCount) / keysOfLarge)),
        ),
    })
    this.#eventBytes = new LRUCache({
      maxSize: needs.eventBytesMax ?? eventBytesMax,
      dispose: (_, roomId, reason) => {
        if (reason === 'evict') this.#known(roomId)?.events.forgetAll()
      },
    })
    this.#load = needs.load
    this.#begin = needs.begin
    this.#commit = needs.commit
  }

  /** Lets go of half of the rooms that nobody works on, those first that were used longest ago. */
  forgetIdle(): void {
    for (let left = this.#rooms.size >> 1; left > 0; left -= 1) this.#rooms.pop()
  }

  /** The room, for reading what is published. */
  async room(roomId: RoomId): Promise<Room | undefined> {
    const known = this.#known(roomId)
    if (known !== undefined) {
      this.#weigh(known)
      return known
    }
    waiting('loading of a room')
    const loading = this.#loading.getOrInsertComputed(roomId, () =>
      detached(() => holding('loading of a room', () => this.#load(roomId))),
    )
    try {
      const room = await loading
      if (room !== undefined && this.#known(roomId) === undefined) this.#rooms.set(roomId, room)
      return this.#known(roomId)
    } finally {
      if (this.#loading.get(roomId) === loading) this.#loading.delete(roomId)
    }
  }

  #weigh({ roomId, events }: Room): void {
    const size = emptyRoomBytes + events.bytes
    this.#eventBytes.set(roomId, size, { size })
  }

  #known(roomId: RoomId): Room | undefined {
    return this.#queues.get(roomId)?.room ?? this.#rooms.get(roomId)
  }

  /**
   * Does something in the room's next turn. `undefined` if there is no such room. With `forgets` it has
   * the turn for itself, and what is in memory of the room is thrown away when it is committed. What a
   * server sent is committed `behind` that one's other rooms, unless somebody else is in the turn or waits
   * for the next.
   */
  async inTurn<T>(
    roomId: RoomId,
    run: (batch: Batch) => Promise<T>,
    {
      forgets = false,
      behind,
    }: { readonly forgets?: boolean; readonly behind?: ServerName | undefined } = {},
  ): Promise<T | undefined> {
    if ((await this.room(roomId)) === undefined) return undefined
    const outcome = Promise.withResolvers<unknown>()
    const queue = this.#queues.getOrInsertComputed(roomId, () => ({
      jobs: [],
      working: undefined,
      room: undefined,
      hurry: undefined,
    }))
    queue.jobs.push({ run, outcome, forgets, behind })
    if (behind === undefined) queue.hurry?.()
    waiting('queue of a room')
    // Whoever begins the work does it for all, and waits for their own part of it alone.
    queue.working ??= detached(() => this.#work(roomId, queue))
    return (await outcome.promise) as T
  }

  /**
   * Makes a room that is not here, one attempt at a time. `undefined` if it is here, be it that
   * another attempt has just made it.
   */
  async make<T>(roomId: RoomId, make: () => Promise<T>): Promise<T | undefined> {
    waiting('making of a room')
    const before = this.#making.get(roomId) ?? Promise.resolve()
    const making = before.then(() =>
      holding('making of a room', async () =>
        (await this.room(roomId)) === undefined ? await make() : undefined,
      ),
    )
    const over = making.then(ignore, ignore)
    this.#making.set(roomId, over)
    try {
      return await making
    } finally {
      if (this.#making.get(roomId) === over) this.#making.delete(roomId)
    }
  }

  /** Commits the first batch of a room that is new here. */
  async addRoom(batch: Batch): Promise<void> {
    const { room } = batch
    const { roomId } = room
    // Whoever has begun to look for it may find what is about to be written, and make a second one.
    waiting('loading of a room')
    while (this.#loading.has(roomId)) await this.#loading.get(roomId)
    const adding = holding('loading of a room', () => this.#commit(batch)).then(() => {
      this.#rooms.set(roomId, room)
      return room
    })
    const loading = adding.catch(() => undefined)
    this.#loading.set(roomId, loading)
    try {
      await adding
    } finally {
      if (this.#loading.get(roomId) === loading) this.#loading.delete(roomId)
    }
  }

  async #work(roomId: RoomId, queue: Queue): Promise<void> {
    while (queue.jobs.length > 0) {
      await holding('queue of a room', () => this.#turn(roomId, queue))
    }
    this.#queues.delete(roomId)
    if (queue.room === undefined) return
    this.#rooms.set(roomId, queue.room)
    this.#weigh(queue.room)
  }

  async #turn(roomId: RoomId, queue: Queue): Promise<void> {
    const jobs = nextJobs(queue)
    const done: { readonly job: Job; readonly value: unknown }[] = []
    try {
      const room = await this.room(roomId)
      if (room === undefined) {
        throw new MatrixError(404, 'M_NOT_FOUND', `There is no room ${roomId} any more.`)
      }
      queue.room = room
      const batch = this.#begin(room)
      for (const job of jobs) await this.#run(job, batch, done)
      if (!batch.isEmpty) await this.#commitInLine(batch, jobs, queue)
      if (jobs.some(({ forgets }) => forgets)) this.#forget(roomId, queue)
    } catch (error) {
      this.#forget(roomId, queue)
      for (const job of jobs) job.outcome.reject(error)
      return
    }
    for (const { job, value } of done) job.outcome.resolve(value)
  }

  async #commitInLine(batch: Batch, jobs: readonly Job[], queue: Queue): Promise<void> {
    const isUrgent = [...jobs, ...queue.jobs].some(({ behind }) => behind === undefined)
    const server = isUrgent ? undefined : jobs[0]?.behind
    if (server === undefined) {
      await this.#commit(batch)
      return
    }
    const hurried = (hurry: Queue['hurry']) => {
      queue.hurry = hurry
    }
    const place = { server, size: batch.events.length, hurried }
    await this.#commits.run(place, () => this.#commit(batch))
  }

  /** The next turn begins with what is stored. */
  #forget(roomId: RoomId, queue: Queue): void {
    queue.room = undefined
    this.#rooms.delete(roomId)
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

/** The jobs of one turn. */
function nextJobs({ jobs }: Queue): Job[] {
  const first = jobs.findIndex(({ forgets }) => forgets)
  const ahead = first === -1 ? jobs.length : Math.max(first, 1)
  return jobs.splice(0, Math.min(ahead, jobsMax))
}

function ignore(): void {}
