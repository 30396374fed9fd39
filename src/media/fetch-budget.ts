/**
 * How much media of other servers is fetched: so many bytes of each server, and so many for each who asks
 * for them. Else one server with endless media, or one user who asks for all there is, pushes what
 * everybody else looks at out of what is kept, and fills the line.
 *
 * @module
 */

import type { FetchedContent } from '#federation/remote-media.ts'
import type { Clock } from '#io/clock.ts'
import { networkOf } from '#io/network-of.ts'
import { type RateLimit, TokenBuckets } from '#io/token-buckets.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'

/** Whose budgets a fetch is charged to. */
export interface Fetch {
  readonly serverName: ServerName
  /** A user, or an address. */
  readonly askedBy: string
}

export class FetchBudget {
  readonly #buckets: TokenBuckets
  readonly #bytes: RateLimit | undefined

  /** No limit at all if `bytes` is not given. */
  constructor(clock: Pick<Clock, 'monotonicMs'>, bytes: RateLimit | undefined) {
    this.#buckets = new TokenBuckets(clock)
    this.#bytes = bytes
  }

  /**
   * Fetches at the cost of these budgets. Throws a `MatrixError` 429 if one of them is used up. How much
   * it costs is known only afterwards, so that a budget may be overdrawn by what is under way.
   */
  async charge(
    fetch: Fetch,
    bytesMax: number,
    work: () => Promise<FetchedContent>,
  ): Promise<FetchedContent> {
    const buckets = this.#bucketsOf(fetch)
    const waitMs = this.#buckets.debtMs(...buckets)
    if (waitMs > 0) {
      const sentence = 'Too much media of other servers was fetched lately.'
      throw MatrixError.limitExceeded(waitMs, sentence)
    }
    try {
      const fetched = await work()
      this.#buckets.spend(fetched.body.length, ...buckets)
      return fetched
    } catch (error) {
      // What turns out to be too large has come as far as it may.
      const isTooLarge = error instanceof MatrixError && error.errcode === 'M_TOO_LARGE'
      if (isTooLarge) this.#buckets.spend(bytesMax, ...buckets)
      throw error
    }
  }

  #bucketsOf({ serverName, askedBy }: Fetch) {
    const limit = this.#bytes
    if (limit === undefined) return []
    return [
      { key: `of ${serverName}`, limit },
      { key: `for ${networkOf(askedBy)}`, limit },
    ]
  }
}
