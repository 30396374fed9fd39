/**
 * The sleep of a room's staged PDUs that lack events which could not be had. They sleep in the table; in
 * memory is only what they wait for and who sent them. So it can be told when it is worth to wake them
 * before their time: when that comes, when history does which it may follow, or when one of these servers
 * answers again. The time is longer the more often nothing came of it.
 *
 * After a failure of our own store all of the room sleeps, for less long.
 *
 * @module
 */

import type { Clock, Timer } from '#io/clock.ts'
import type { EventId, ServerName } from '#protocol/identifiers/ids.ts'
import type { Lacking } from './receive-staged.ts'

/** How many events that are waited for are remembered. */
const awaitedMax = 20_000
/** How long those sleep that lack events: from the first time on, and at most. */
const sleepMs = { first: 8000, factor: 4, most: 6 * 3_600_000 }
/** For how long they sleep at least if history comes, or a server that sent some of them answers again. */
const sleepMsMin = 60_000
/** The same after a failure of our own. */
const failureMs = { first: 1000, factor: 2, most: 600_000 }

export class StagedSleep {
  readonly #clock: Clock
  readonly #wake: () => void
  readonly #awaited = new Set<EventId>()
  /** The servers that sent those who sleep. */
  readonly #sleepersOf = new Set<ServerName>()
  #restsSinceMs = 0
  #timer: Timer | undefined
  /** How often in a row nothing came of it. */
  #fruitless = 0
  #failures = 0

  /** `wake` is called when the time is over. */
  constructor(clock: Clock, wake: () => void) {
    this.#clock = clock
    this.#wake = wake
  }

  /** Whether the time runs. */
  get isRunning(): boolean {
    return this.#timer !== undefined
  }

  /** Whether it runs for so long that what may be had now may be asked for. */
  get isLong(): boolean {
    return this.isRunning && this.#clock.monotonicMs() - this.#restsSinceMs >= sleepMsMin
  }

  /** Whether a server sent some of those who sleep. */
  isOf(server: ServerName): boolean {
    return this.#sleepersOf.has(server)
  }

  /** Whether nobody sleeps. */
  get isEmpty(): boolean {
    return this.#sleepersOf.size === 0
  }

  /** Whether one of the events is waited for. */
  isAwaited(eventIds: readonly EventId[]): boolean {
    return eventIds.some((eventId) => this.#awaited.has(eventId))
  }

  add({ item, outcome }: Lacking): void {
    this.#sleepersOf.add(item.origin)
    if (item.tries === 0) this.#sleepLess()
    for (const eventId of [...outcome.prevEvents, ...outcome.authEvents]) {
      if (this.#awaited.size < awaitedMax) this.#awaited.add(eventId)
    }
  }

  /** What sleeps for the first time may be had soon, however long others have slept. */
  #sleepLess(): void {
    if (this.#fruitless <= 1) return
    this.#fruitless = 1
    this.#timer?.cancel()
    this.#timer = undefined
  }

  /** From here on the time runs. */
  begin(): void {
    this.#restsSinceMs = this.#clock.monotonicMs()
    this.#timer = this.#clock.after(pauseMs(sleepMs, this.#fruitless), this.#wake)
    this.#fruitless += 1
  }

  /** The same after a failure of our own. Gives how long it lasts. */
  beginAfterFailure(): number {
    const afterMs = pauseMs(failureMs, this.#failures)
    this.#failures += 1
    this.#timer?.cancel()
    this.#timer = this.#clock.after(afterMs, this.#wake)
    return afterMs
  }

  /** Nobody sleeps any more. */
  end(): void {
    this.cancel()
    this.#timer = undefined
    this.#sleepersOf.clear()
    this.#awaited.clear()
  }

  /** Nobody is woken any more. */
  cancel(): void {
    this.#timer?.cancel()
  }

  /** Something came of it. */
  wasFruitful(): void {
    this.#fruitless = 0
  }

  /** Our store does not fail any more. */
  isWell(): void {
    this.#failures = 0
  }
}

function pauseMs(pause: typeof sleepMs, times: number): number {
  return Math.min(pause.most, pause.first * pause.factor ** times)
}
