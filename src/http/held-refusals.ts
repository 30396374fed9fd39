/**
 * Refusals of who asks too often, told after a while: who asks again at once, over as many connections as
 * there are, would have most of the thread by being refused.
 *
 * @module
 */

import type { Clock } from '#io/clock.ts'
import type { MatrixError } from '#protocol/matrix-error.ts'

/** How long one waits for the answer that one asks too often, and how many such answers wait. */
const heldMs = 1000
const heldMax = 5000

export class HeldRefusals {
  readonly #clock: Pick<Clock, 'sleep'>
  #held = 0

  constructor(clock: Pick<Clock, 'sleep'>) {
    this.#clock = clock
  }

  /** Throws the error, after a second if there are not too many who wait. */
  async refuse(error: MatrixError): Promise<never> {
    if (this.#held < heldMax) {
      this.#held += 1
      await this.#clock.sleep(heldMs)
      this.#held -= 1
    }
    throw error
  }
}
