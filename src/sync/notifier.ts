/**
 * Wakes those who wait in `/sync` when there may be something for them.
 *
 * What happens in a room concerns everybody who waits for the room; what happens to a user concerns
 * only them. Who waits says up to which position they know everything: if something has happened
 * beyond that, they do not wait at all, so nothing can fall between looking and waiting.
 *
 * What is only in memory, as who types, may have a position above one that is still being committed. It
 * concerns nobody before the stream has settled up to it: who was woken could not be told of it, would look
 * again at once, and so on, and what is being committed would not get its turn.
 *
 * Invariant: an idle waiter costs memory only, and little of it, for thousands wait: one object, which is
 * in the sets of what it waits for. Whose time is over at the same moment have one timer.
 *
 * @module
 */

import type { Clock, Timer } from '#io/clock.ts'
import type { PeerSignal } from '#io/http.ts'
import type { RoomId, UserId } from '#protocol/identifiers/ids.ts'
import type { Streams } from '#storage/streams.ts'

/** Rooms and users whose last change is remembered; for others it is the highest forgotten one. */
const rememberedMax = 50_000

export interface Notifier {
  roomChanged(roomId: RoomId, stream: number): void
  userChanged(userId: UserId, stream: number): void
  /**
   * Resolves when something concerns the user beyond `after`, at the latest after `timeoutMs`.
   * Rejects with the signal's reason if it is aborted.
   */
  wait(request: WaitRequest): Promise<void>
}

export interface WaitRequest {
  readonly userId: UserId
  readonly rooms: readonly RoomId[]
  readonly after: number
  readonly timeoutMs: number
  readonly signal: PeerSignal
}

export interface NotifierNeeds {
  readonly clock: Pick<Clock, 'after' | 'monotonicMs'>
  readonly streams: Pick<Streams, 'settled' | 'onSettled'>
}

/** Timeouts end at multiples of this, up to so much later than was asked for. */
const deadlineStepMs = 50

export function createNotifier({ clock, streams }: NotifierNeeds): Notifier {
  const places: WaitingPlaces = {
    rooms: new Topics<RoomId>(),
    users: new Topics<UserId>(),
    deadlines: new Deadlines(clock),
  }
  const { rooms, users } = places
  streams.onSettled((settled) => {
    users.settled(settled)
    rooms.settled(settled)
  })
  return {
    roomChanged: (roomId, stream) => rooms.happened(roomId, stream, streams.settled()),
    userChanged: (userId, stream) => users.happened(userId, stream, streams.settled()),
    wait: (request) => {
      const { userId, rooms: roomIds, after, signal } = request
      if (signal.aborted) return Promise.reject(signal.reason)
      const hasChanged =
        users.lastChange(userId) > after || roomIds.some((id) => rooms.lastChange(id) > after)
      return hasChanged ? Promise.resolve() : new Waiter(places, request).ended
    },
  }
}

interface WaitingPlaces {
  readonly rooms: Topics<RoomId>
  readonly users: Topics<UserId>
  readonly deadlines: Deadlines
}

/** One who waits, from when it is made. */
class Waiter {
  readonly ended: Promise<void>
  readonly #resolve: () => void
  readonly #reject: (reason: unknown) => void
  readonly #places: WaitingPlaces
  readonly #request: WaitRequest
  readonly #deadline: number

  constructor(places: WaitingPlaces, request: WaitRequest) {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.ended = promise
    this.#resolve = resolve
    this.#reject = reject
    this.#places = places
    this.#request = request
    this.#deadline = places.deadlines.add(this, request.timeoutMs)
    request.signal.addEventListener('abort', this)
    places.users.subscribe(request.userId, this)
    for (const roomId of request.rooms) places.rooms.subscribe(roomId, this)
  }

  /** Ends the waiting if what happened there is beyond what is known. */
  wake(stream: number): void {
    if (stream <= this.#request.after) return
    this.#leave()
    this.#resolve()
  }

  /** The signal has been aborted. */
  handleEvent(): void {
    this.#leave()
    this.#reject(this.#request.signal.reason)
  }

  #leave(): void {
    const { deadlines, users, rooms } = this.#places
    const { signal, userId, rooms: roomIds } = this.#request
    deadlines.delete(this, this.#deadline)
    signal.removeEventListener('abort', this)
    users.unsubscribe(userId, this)
    for (const roomId of roomIds) rooms.unsubscribe(roomId, this)
  }
}

/** Wakes those whose time is over: timers by the thousand are dear, so there is one for each step of time. */
class Deadlines {
  readonly #clock: NotifierNeeds['clock']
  readonly #steps = new Map<number, { readonly waiting: Set<Waiter>; readonly timer: Timer }>()

  constructor(clock: NotifierNeeds['clock']) {
    this.#clock = clock
  }

  /** Gives when that is, for `delete`. */
  add(waiter: Waiter, timeoutMs: number): number {
    const nowMs = this.#clock.monotonicMs()
    const deadline = Math.ceil((nowMs + timeoutMs) / deadlineStepMs) * deadlineStepMs
    const step = this.#steps.getOrInsertComputed(deadline, () => ({
      waiting: new Set(),
      timer: this.#clock.after(Math.ceil(deadline - nowMs), () => this.#end(deadline)),
    }))
    step.waiting.add(waiter)
    return deadline
  }

  delete(waiter: Waiter, deadline: number): void {
    const step = this.#steps.get(deadline)
    step?.waiting.delete(waiter)
    if (step?.waiting.size !== 0) return
    step.timer.cancel()
    this.#steps.delete(deadline)
  }

  #end(deadline: number): void {
    const waiting = this.#steps.get(deadline)?.waiting ?? []
    for (const waiter of [...waiting]) waiter.wake(Number.POSITIVE_INFINITY)
  }
}

/** What can change, by its ID: who waits for it, and when it last did. */
class Topics<Id> {
  readonly #waiting = new Map<Id, Set<Waiter>>()
  /** In the order of the last changes. */
  readonly #lastChanges = new Map<Id, number>()
  #forgotten = 0
  /** The first and the last change of what has changed above where the stream has settled. */
  readonly #early = new Map<Id, { readonly first: number; readonly last: number }>()

  happened(id: Id, stream: number, settled: number): void {
    if (stream <= settled) {
      this.#changed(id, stream)
      return
    }
    const { first, last } = this.#early.get(id) ?? { first: stream, last: stream }
    this.#early.set(id, { first: Math.min(first, stream), last: Math.max(last, stream) })
  }

  /** What changes again and again before the stream has settled is told of all the same, once its first has. */
  settled(upTo: number): void {
    for (const [id, { first, last }] of this.#early) {
      if (first > upTo) continue
      if (last > upTo) this.#early.set(id, { first: last, last })
      else this.#early.delete(id)
      this.#changed(id, last > upTo ? first : last)
    }
  }

  #changed(id: Id, stream: number): void {
    const last = Math.max(stream, this.lastChange(id))
    this.#lastChanges.delete(id)
    this.#lastChanges.set(id, last)
    if (this.#lastChanges.size > rememberedMax) this.#forgetOldest()
    for (const waiter of [...(this.#waiting.get(id) ?? [])]) waiter.wake(stream)
  }

  lastChange(id: Id): number {
    return this.#lastChanges.get(id) ?? this.#forgotten
  }

  subscribe(id: Id, waiter: Waiter): void {
    const waiting = this.#waiting.get(id)
    if (waiting === undefined) this.#waiting.set(id, new Set([waiter]))
    else waiting.add(waiter)
  }

  unsubscribe(id: Id, waiter: Waiter): void {
    const waiting = this.#waiting.get(id)
    waiting?.delete(waiter)
    if (waiting?.size === 0) this.#waiting.delete(id)
  }

  #forgetOldest(): void {
    for (const [id, stream] of this.#lastChanges) {
      this.#lastChanges.delete(id)
      this.#forgotten = Math.max(this.#forgotten, stream)
      return
    }
  }
}
