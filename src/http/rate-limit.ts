/**
 * Limits how often somebody may ask: a user by name, a server by its own, all others by their address.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#rate-limiting
 *
 * @module
 */

import type { Clock } from '#io/clock.ts'
import { networkOf } from '#io/network-of.ts'
import { type RateLimit, TokenBuckets } from '#io/token-buckets.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Endpoint } from './endpoint.ts'
import type { Requester } from './serve.ts'

/** The limit of an endpoint, by operation ID, and of what has none of its own. */
export interface RateLimits {
  /** Endpoints with the same `name` share a bucket. */
  readonly byOperation: Readonly<
    Record<string, (RateLimit & { readonly name: string }) | 'unlimited'>
  >
  readonly otherwise: RateLimit
}

/** A function that throws a 429 when a requester asks too often. */
export function createRateLimiter(
  clock: Pick<Clock, 'monotonicMs'>,
  { ofClients, ofServers }: { readonly ofClients: RateLimits; readonly ofServers: RateLimits },
): (endpoint: Endpoint, requester: Requester) => void {
  const clients = new TokenBuckets(clock)
  const servers = new TokenBuckets(clock)
  return (endpoint, { origin, session, remoteAddress }) => {
    const isServer = origin !== undefined
    const { byOperation, otherwise } = isServer ? ofServers : ofClients
    const own = byOperation[endpoint.operationId]
    if (own === 'unlimited') return
    const who = origin ?? session?.userId ?? networkOf(remoteAddress)
    const bucket = { key: `${own?.name ?? ''} ${who}`, limit: own ?? otherwise }
    const waitMs = (isServer ? servers : clients).take(bucket)
    if (waitMs > 0) throw MatrixError.limitExceeded(waitMs, 'You ask too often.')
  }
}
