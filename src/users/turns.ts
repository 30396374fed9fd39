/**
 * One after the other, for each key: whoever reads, thinks and writes takes a turn, so that nobody
 * else writes in between.
 *
 * @module
 */

export class Turns {
  readonly #last = new Map<string, Promise<unknown>>()

  /** Runs `act` once all that was given before under this key is over, whatever became of it. */
  async run<T>(key: string, act: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key) ?? Promise.resolve()
    const turn = before.then(act, act)
    this.#last.set(key, turn)
    try {
      return await turn
    } finally {
      if (this.#last.get(key) === turn) this.#last.delete(key)
    }
  }
}
