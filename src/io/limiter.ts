/**
 * Lets only so many pieces of work run at the same time; the others wait in line.
 *
 * @module
 */

import { holding, waiting } from './wait-order.ts'

export class Limiter {
  readonly #kind: string
  readonly #max: number
  #free: number
  readonly #waiting: (() => void)[] = []

  /** `kind` says what the work is: see `wait-order.ts`. */
  constructor(max: number, kind: string) {
    this.#kind = kind
    this.#max = max
    this.#free = max
  }

  /** Whether nothing runs, and nothing waits. */
  get isIdle(): boolean {
    return this.#free === this.#max
  }

  /** How many pieces of work wait in line. */
  get waiting(): number {
    return this.#waiting.length
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    waiting(this.#kind)
    if (this.#free === 0) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    else this.#free -= 1
    try {
      return await holding(this.#kind, work)
    } finally {
      const next = this.#waiting.shift()
      // The place goes from hand to hand, so that nobody new slips in between.
      if (next === undefined) this.#free += 1
      else next()
    }
  }
}
