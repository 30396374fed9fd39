/**
 * One after the other, for each key: whoever reads, thinks and writes takes a turn, so that nobody
 * else writes in between.
 *
 * @module
 */

import { holding, waiting } from './wait-order.ts'

export class Turns {
  readonly #kind: string
  readonly #last = new Map<string, Promise<unknown>>()

  /** `kind` says what the turns are of: see `wait-order.ts`. */
  constructor(kind: string) {
    this.#kind = kind
  }

  /** Runs `act` once all that was given before under this key is over, whatever became of it. */
  async run<T>(key: string, act: () => Promise<T>): Promise<T> {
    waiting(this.#kind)
    const before = this.#last.get(key) ?? Promise.resolve()
    const work = () => holding(this.#kind, act)
    const turn = before.then(work, work)
    this.#last.set(key, turn)
    try {
      return await turn
    } finally {
      if (this.#last.get(key) === turn) this.#last.delete(key)
    }
  }
}
