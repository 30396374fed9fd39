/**
 * Limits how often somebody may ask. Each limit is a bucket of tokens that fills at a steady rate: a
 * burst is let through, after it the rate.
 *
 * A bucket is one number: when it will be full again. Those that are full are forgotten.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#rate-limiting
 *
 * @module
 */

import { LRUCache } from 'lru-cache'
import type { Clock } from '#io/clock.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Endpoint } from './endpoint.ts'
import type { Requester } from './serve.ts'

export interface RateLimit {
  readonly perSecond: number
  /** How many requests may come at once after a pause. */
  readonly burst: number
}

/** The limit of an endpoint, by operation ID, and of what has none of its own. */
export interface RateLimits {
  readonly byOperation: Readonly<Record<string, RateLimit & { readonly name: string }>>
  readonly otherwise: RateLimit
}

/** More buckets than this at once, and those used longest ago are taken for full. */
const bucketsMax = 100_000

/**
 * A function that throws a 429 when a requester asks too often: a user by name, all others by their
 * address. Endpoints with the same `name` share a bucket. Servers are limited elsewhere.
 */
export function createRateLimiter(
  clock: Clock,
  limits: RateLimits,
): (endpoint: Endpoint, requester: Requester) => void {
  const fullAgainMs = new LRUCache<string, number>({
    maxSize: bucketsMax,
    sizeCalculation: () => 1,
  })
  return (endpoint, requester) => {
    if (requester.origin !== undefined) return
    const own = limits.byOperation[endpoint.operationId]
    const { perSecond, burst } = own ?? limits.otherwise
    const who = requester.session?.userId ?? requester.remoteAddress
    const bucket = `${own?.name ?? ''} ${who}`
    const now = clock.monotonicMs()
    const tokenMs = 1_000 / perSecond
    const nextFullMs = Math.max(fullAgainMs.get(bucket) ?? 0, now) + tokenMs
    const waitMs = nextFullMs - now - burst * tokenMs
    if (waitMs > 0) {
      const extra = { retry_after_ms: Math.ceil(waitMs) }
      throw new MatrixError(429, 'M_LIMIT_EXCEEDED', 'You ask too often.', { extra })
    }
    fullAgainMs.set(bucket, nextFullMs)
  }
}
