/**
 * How many events somebody may send: a steady rate, with as many at once as come in a minute.
 *
 * @module
 */

import { LRUCache } from 'lru-cache'
import type { Clock } from '#io/clock.ts'

const minuteMs = 60_000
const knownMax = 100_000

export class EventRate {
  readonly #clock: Pick<Clock, 'monotonicMs'>
  readonly #perMinute: number | null
  /** When the minute of each will be empty again; see `http/rate-limit.ts`. */
  readonly #emptyMs = new LRUCache<string, number>({
    maxSize: knownMax,
    sizeCalculation: () => 1,
  })

  /** No limit at all if `perMinute` is null. */
  constructor(clock: Pick<Clock, 'monotonicMs'>, perMinute: number | null) {
    this.#clock = clock
    this.#perMinute = perMinute
  }

  /** How long `who` has to wait; 0 if the event may be sent, which counts then. */
  take(who: string): number {
    if (this.#perMinute === null) return 0
    const now = this.#clock.monotonicMs()
    const nextMs = Math.max(this.#emptyMs.get(who) ?? 0, now) + minuteMs / this.#perMinute
    const waitMs = nextMs - now - minuteMs
    if (waitMs > 0) return Math.ceil(waitMs)
    this.#emptyMs.set(who, nextMs)
    return 0
  }
}
