/**
 * Limits how much somebody may have of something: requests, events, bytes. Each has a bucket of tokens
 * that fills at a steady rate: a burst is let through, after it the rate.
 *
 * A bucket is one number: when it will be full again. Those that are full are forgotten.
 *
 * @module
 */

import { LRUCache } from 'lru-cache'
import type { Clock } from './clock.ts'

export interface RateLimit {
  readonly perSecond: number
  /** How much may be had at once after a pause. */
  readonly burst: number
}

/** One bucket: whose it is, and how it fills. The same key always has the same limit. */
export interface Bucket {
  readonly key: string
  readonly limit: RateLimit
}

/** More buckets than this at once, and those used longest ago are taken for full. */
const bucketsMaxDefault = 100_000

export class TokenBuckets {
  readonly #clock: Pick<Clock, 'monotonicMs'>
  readonly #fullAgainMs: LRUCache<string, number>

  constructor(clock: Pick<Clock, 'monotonicMs'>, bucketsMax = bucketsMaxDefault) {
    this.#clock = clock
    this.#fullAgainMs = new LRUCache({ maxSize: bucketsMax, sizeCalculation: () => 1 })
  }

  /**
   * Takes a token out of each of these buckets, or none out of any. Gives how long to wait until all of
   * them have one, in whole milliseconds; 0 if they were taken.
   */
  take(...buckets: readonly Bucket[]): number {
    const waitMs = this.waitMs(...buckets)
    if (waitMs > 0) return waitMs
    this.spend(1, ...buckets)
    return 0
  }

  /** How long to wait until each of these buckets has a token, in whole milliseconds; 0 if they have. */
  waitMs(...buckets: readonly Bucket[]): number {
    return this.#waitMs(buckets, 1)
  }

  /** Takes out what was had, also below nothing: where it is known only afterwards how much that is. */
  spend(amount: number, ...buckets: readonly Bucket[]): void {
    for (const bucket of buckets) this.#fullAgainMs.set(bucket.key, this.#fullMs(bucket, amount))
  }

  /** How long to wait until none of these buckets is in debt, in whole milliseconds; 0 if none is. */
  debtMs(...buckets: readonly Bucket[]): number {
    return this.#waitMs(buckets, 0)
  }

  #waitMs(buckets: readonly Bucket[], amount: number): number {
    const now = this.#clock.monotonicMs()
    const waits = buckets.map((bucket) => {
      const { perSecond, burst } = bucket.limit
      return this.#fullMs(bucket, amount) - now - (burst * 1_000) / perSecond
    })
    return Math.ceil(Math.max(0, ...waits))
  }

  /** When a bucket will be full once so much is taken out of it. */
  #fullMs({ key, limit: { perSecond } }: Bucket, amount: number): number {
    const now = this.#clock.monotonicMs()
    return Math.max(this.#fullAgainMs.get(key) ?? 0, now) + (amount * 1_000) / perSecond
  }
}
