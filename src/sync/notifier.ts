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
 * Invariant: an idle waiter costs memory only. There is no timer but its own timeout.
 *
 * @module
 */

import type { Clock } from '#io/clock.ts'
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
  wait(request: {
    readonly userId: UserId
    readonly rooms: readonly RoomId[]
    readonly after: number
    readonly timeoutMs: number
    readonly signal: AbortSignal
  }): Promise<void>
}

export interface NotifierNeeds {
  readonly clock: Pick<Clock, 'after'>
  readonly streams: Pick<Streams, 'settled' | 'onSettled'>
}

const timeoutStepMs = 50

export function createNotifier({ clock, streams }: NotifierNeeds): Notifier {
  const rooms = new Topics<RoomId>()
  const users = new Topics<UserId>()
  streams.onSettled((settled) => {
    users.settled(settled)
    rooms.settled(settled)
  })
  return {
    roomChanged: (roomId, stream) => rooms.happened(roomId, stream, streams.settled()),
    userChanged: (userId, stream) => users.happened(userId, stream, streams.settled()),
    wait: ({ userId, rooms: roomIds, after, timeoutMs, signal }) =>
      new Promise((resolve, reject) => {
        const hasChanged =
          users.lastChange(userId) > after || roomIds.some((id) => rooms.lastChange(id) > after)
        if (signal.aborted) return reject(signal.reason)
        if (hasChanged) return resolve()
        const end = () => {
          timer.cancel()
          signal.removeEventListener('abort', abort)
          users.unsubscribe(userId, wake)
          for (const roomId of roomIds) rooms.unsubscribe(roomId, wake)
        }
        const wake = (stream: number) => {
          if (stream <= after) return
          end()
          resolve()
        }
        const abort = () => {
          end()
          reject(signal.reason)
        }
        // Thousands may wait: timers of the same length are cheap, those of distinct ones are not.
        const waitMs = Math.ceil(timeoutMs / timeoutStepMs) * timeoutStepMs
        const timer = clock.after(waitMs, () => wake(Number.POSITIVE_INFINITY))
        signal.addEventListener('abort', abort, { once: true })
        users.subscribe(userId, wake)
        for (const roomId of roomIds) rooms.subscribe(roomId, wake)
      }),
  }
}

type Wake = (stream: number) => void

/** What can change, by its ID: who waits for it, and when it last did. */
class Topics<Id> {
  readonly #waiting = new Map<Id, Set<Wake>>()
  /** In the order of the last changes. */
  readonly #lastChanges = new Map<Id, number>()
  #forgotten = 0
  /** The last change of what has changed above where the stream has settled. */
  readonly #early = new Map<Id, number>()

  happened(id: Id, stream: number, settled: number): void {
    if (stream <= settled) this.#changed(id, stream)
    else this.#early.set(id, Math.max(stream, this.#early.get(id) ?? stream))
  }

  settled(upTo: number): void {
    for (const [id, stream] of this.#early) {
      if (stream > upTo) continue
      this.#early.delete(id)
      this.#changed(id, stream)
    }
  }

  #changed(id: Id, stream: number): void {
    const last = Math.max(stream, this.lastChange(id))
    this.#lastChanges.delete(id)
    this.#lastChanges.set(id, last)
    if (this.#lastChanges.size > rememberedMax) this.#forgetOldest()
    for (const wake of [...(this.#waiting.get(id) ?? [])]) wake(stream)
  }

  lastChange(id: Id): number {
    return this.#lastChanges.get(id) ?? this.#forgotten
  }

  subscribe(id: Id, wake: Wake): void {
    const waiting = this.#waiting.get(id)
    if (waiting === undefined) this.#waiting.set(id, new Set([wake]))
    else waiting.add(wake)
  }

  unsubscribe(id: Id, wake: Wake): void {
    const waiting = this.#waiting.get(id)
    waiting?.delete(wake)
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
