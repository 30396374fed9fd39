/**
 * Slices that many share who each do small pieces of work. A piece is too short to be done in slices of its
 * own; but where each of many goes on with the next piece at once, all of them together keep everything
 * else waiting.
 *
 * In each turn of the event loop there is one slice. When it is over, whoever comes waits for one of the
 * next turns, those of different keys in turn.
 *
 * @module
 */

import type { Clock } from './clock.ts'
import { Lines } from './lines.ts'
import { sliceMs } from './slices.ts'
import { detached } from './wait-order.ts'

export class SharedSlices<Key> {
  readonly #clock: Pick<Clock, 'monotonicMs' | 'yield'>
  readonly #waiting = new Lines<Key, () => void>()
  /** The end of this turn's slice; `undefined` while nobody works. */
  #endMs: number | undefined

  constructor(clock: Pick<Clock, 'monotonicMs' | 'yield'>) {
    this.#clock = clock
  }

  /** Resolves when a piece of work may begin. */
  async begin(key: Key): Promise<void> {
    const nowMs = this.#clock.monotonicMs()
    if (this.#endMs === undefined) {
      this.#endMs = nowMs + sliceMs
      void detached(() => this.#letIn())
    } else if (nowMs >= this.#endMs) {
      await new Promise<void>((resolve) => this.#waiting.push(key, resolve))
    }
  }

  async #letIn(): Promise<void> {
    for (;;) {
      await this.#clock.yield()
      const next = this.#waiting.next()
      if (next === undefined) break
      this.#endMs = this.#clock.monotonicMs() + sliceMs
      next()
    }
    this.#endMs = undefined
  }
}
