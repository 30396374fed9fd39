/**
 * A bounded memory of what was looked up, for as long as it holds; look-ups of one key that are asked
 * for at the same time are one look-up.
 *
 * @module
 */

import { LRUCache } from 'lru-cache'
import type { Clock } from '#io/clock.ts'

/** Something that was found, and how long it holds. */
export interface Found<Value> {
  readonly value: Value
  readonly holdsMs: number
}

export class MergedCache<Value extends object> {
  readonly #clock: Clock
  readonly #entries: LRUCache<string, { readonly value: Value; readonly endMs: number }>
  readonly #running = new Map<string, Promise<Value>>()

  /** Keeps at most `max` values: those that were used last. */
  constructor(clock: Clock, max: number) {
    this.#clock = clock
    this.#entries = new LRUCache({ maxSize: max, sizeCalculation: () => 1 })
  }

  /**
   * The value of a key: the known one, or what `lookUp` finds, which is given the value that was
   * known before, if it still is. A look-up that throws leaves nothing behind.
   */
  get(
    key: string,
    lookUp: (last: Value | undefined) => Promise<Found<Value>>,
  ): Value | Promise<Value> {
    const known = this.#entries.get(key)
    if (known !== undefined && this.#clock.monotonicMs() < known.endMs) return known.value
    const running = this.#running.get(key)
    if (running !== undefined) return running
    const started = this.#find(key, lookUp, known?.value)
    this.#running.set(key, started)
    return started
  }

  forget(key: string): void {
    this.#entries.delete(key)
  }

  async #find(
    key: string,
    lookUp: (last: Value | undefined) => Promise<Found<Value>>,
    last: Value | undefined,
  ): Promise<Value> {
    try {
      const { value, holdsMs } = await lookUp(last)
      this.#entries.set(key, { value, endMs: this.#clock.monotonicMs() + holdsMs })
      return value
    } finally {
      this.#running.delete(key)
    }
  }
}
