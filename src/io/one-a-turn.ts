/**
 * Lets one of many begin in each turn of the event loop, those of different keys in turn. What comes alone
 * begins at once. So whoever does not come this way waits for one of them at a time, however many come
 * together, and nobody who comes with many is served before those who come with few.
 *
 * @module
 */

import type { Clock } from './clock.ts'
import { Lines } from './lines.ts'
import { detached } from './wait-order.ts'

export class OneATurn<Key> {
  readonly #clock: Pick<Clock, 'yield'>
  readonly #waiting = new Lines<Key, () => void>()
  #isTaken = false

  constructor(clock: Pick<Clock, 'yield'>) {
    this.#clock = clock
  }

  /** Resolves when it is one's turn. */
  async begin(key: Key): Promise<void> {
    if (this.#isTaken) {
      await new Promise<void>((resolve) => this.#waiting.push(key, resolve))
      return
    }
    this.#isTaken = true
    void detached(() => this.#letIn())
  }

  async #letIn(): Promise<void> {
    for (;;) {
      await this.#clock.yield()
      const next = this.#waiting.next()
      if (next === undefined) break
      next()
    }
    this.#isTaken = false
  }
}
