/**
 * How often users of other servers may invite ours, and knock on our rooms. Their servers are limited,
 * too, where requests come in; but behind one server there are many users, and one user can be bothered
 * by many servers.
 *
 * @module
 */

import type { Clock } from '#io/clock.ts'
import { TokenBuckets } from '#io/token-buckets.ts'
import type { UserId } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'

/**
 * The rates are Synapse's, which other servers are used to; the bursts are larger than its, since who is
 * taken into a space, or onto a bridge, is invited to many rooms at once.
 */
const limits = {
  /** Of one user: invites and knocks. */
  bySender: { perSecond: 0.3, burst: 20 },
  /** To one user: who answers them must look at each. */
  toTarget: { perSecond: 0.003, burst: 20 },
}

export class Arrivals {
  readonly #buckets: TokenBuckets

  constructor(clock: Pick<Clock, 'monotonicMs'>) {
    this.#buckets = new TokenBuckets(clock)
  }

  /** Counts an invite. Throws a `MatrixError` 429 if there are too many; it does not count then. */
  invite({ sender, target }: { readonly sender: UserId; readonly target: UserId }): void {
    const waitMs = this.#buckets.take(
      { key: `by ${sender}`, limit: limits.bySender },
      { key: `to ${target}`, limit: limits.toTarget },
    )
    if (waitMs > 0) throw MatrixError.limitExceeded(waitMs, 'There are too many invites.')
  }

  /** Counts a knock, likewise. */
  knock(sender: UserId): void {
    const waitMs = this.#buckets.take({ key: `by ${sender}`, limit: limits.bySender })
    if (waitMs > 0) throw MatrixError.limitExceeded(waitMs, 'There are too many knocks.')
  }
}
