/**
 * Who uses the thread, and who has to let others go first.
 *
 * Each key, a server or a room, has a bucket of processor time that fills at a steady rate. What its
 * events cost is measured and taken out, also below nothing. A key in debt waits until it is out of
 * it, but only while others want the thread: what nobody else wants, one may have.
 *
 * What is measured is the time of the whole thread, so that some of what others did meanwhile is
 * charged, too; the bursts are much larger than that.
 *
 * @module
 */

import { LRUCache } from 'lru-cache'
import type { Clock } from '#io/clock.ts'
import type { Machine } from '#io/machine.ts'

export interface FairShareNeeds {
  readonly clock: Clock
  readonly machine: Pick<Machine, 'cpuMs'>
  /** Whether there is so much to do that somebody must wait. */
  readonly isBusy: () => boolean
  /** Whether what our own users do suffers, so that also who is alone must wait. */
  readonly isSuffering: () => boolean
}

/** The share of the thread that is everybody's for certain. */
const rate = 0.25
/** How much processor time may be used at once after a pause. */
const burstMs = 2000
/** Who used some in this time wants the thread. */
const recentMs = 2000
/** How many keys are known; one that is forgotten has a full bucket again. */
const keysMax = 10_000

interface Bucket {
  /** When it will be full. */
  fullAtMs: number
  usedAtMs: number
}

export class FairShare<Key extends string> {
  readonly #needs: FairShareNeeds
  readonly #buckets = new LRUCache<Key, Bucket>({ maxSize: keysMax, sizeCalculation: () => 1 })
  /** The two keys that used the thread last. */
  #last: Key | undefined
  #other: Key | undefined

  constructor(needs: FairShareNeeds) {
    this.#needs = needs
  }

  /** Does some work at the cost of a key. */
  async charge<T>(key: Key, work: () => Promise<T>): Promise<T> {
    const { machine, clock } = this.#needs
    const startMs = machine.cpuMs()
    try {
      return await work()
    } finally {
      const nowMs = clock.monotonicMs()
      const usedMs = machine.cpuMs() - startMs
      const fullAtMs = Math.max(this.#buckets.peek(key)?.fullAtMs ?? 0, nowMs) + usedMs / rate
      this.#buckets.set(key, { fullAtMs, usedAtMs: nowMs })
      this.#note(key)
    }
  }

  /** How long a key has to wait before it may use more; 0 if it need not. */
  waitMs(key: Key): number {
    const { clock, isBusy, isSuffering } = this.#needs
    const bucket = this.#buckets.peek(key)
    if (bucket === undefined || !isBusy()) return 0
    if (!isSuffering() && !this.#isContested(key)) return 0
    return Math.max(0, bucket.fullAtMs - clock.monotonicMs() - burstMs / rate)
  }

  #note(key: Key): void {
    if (this.#last === key) return
    this.#other = this.#last
    this.#last = key
  }

  /** Whether another key used the thread lately. */
  #isContested(key: Key): boolean {
    const sinceMs = this.#needs.clock.monotonicMs() - recentMs
    const isRecent = (one: Key | undefined) =>
      one !== undefined && one !== key && (this.#buckets.peek(one)?.usedAtMs ?? 0) >= sinceMs
    return isRecent(this.#last) || isRecent(this.#other)
  }
}
