/**
 * Long work in slices: after each, everything else that is due runs. So nobody waits long for the
 * thread, however much there is to do.
 *
 *     const slices = new Slices(clock)
 *     for (const item of items) {
 *       work(item)
 *       if (slices.isOver) await slices.next()
 *     }
 *
 * @module
 */

import type { Clock } from './clock.ts'

/**
 * How long one slice may keep everything else waiting. A message of a user waits for some of them: until
 * it is read, and until its commit is told.
 */
export const sliceMs = 4

export class Slices {
  readonly #clock: Pick<Clock, 'monotonicMs' | 'yield'>
  #endMs: number

  constructor(clock: Pick<Clock, 'monotonicMs' | 'yield'>) {
    this.#clock = clock
    this.#endMs = clock.monotonicMs() + sliceMs
  }

  /** Whether it is time for others. */
  get isOver(): boolean {
    return this.#clock.monotonicMs() >= this.#endMs
  }

  /** Lets others run, then begins the next slice. */
  async next(): Promise<void> {
    await this.#clock.yield()
    this.#endMs = this.#clock.monotonicMs() + sliceMs
  }

  /** Runs a generator to its end; where it yields, there may be a pause. */
  async run<Result>(steps: Iterator<void, Result>): Promise<Result> {
    for (let step = steps.next(); ; step = steps.next()) {
      if (step.done) return step.value
      if (this.isOver) await this.next()
    }
  }
}
