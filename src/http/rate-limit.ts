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

/** How long a server waits for the answer that it asks too often, and how many such answers wait. */
const refusalMs = 1000
const refusalsMax = 5000

/**
 * A function that throws a 429 when a requester asks too often. Servers are let wait for it: who asks
 * again at once, over as many connections as there are, would have most of the thread by being refused.
 */
export function createRateLimiter(
  clock: Pick<Clock, 'monotonicMs' | 'sleep'>,
  { ofClients, ofServers }: { readonly ofClients: RateLimits; readonly ofServers: RateLimits },
): (endpoint: Endpoint, requester: Requester) => Promise<void> | undefined {
  const clients = new TokenBuckets(clock)
  const servers = new TokenBuckets(clock)
  let refusals = 0
  const refuseLater = async (error: MatrixError) => {
    refusals += 1
    await clock.sleep(refusalMs)
    refusals -= 1
    throw error
  }
  return (endpoint, { origin, session, remoteAddress }) => {
    const isServer = origin !== undefined
    const { byOperation, otherwise } = isServer ? ofServers : ofClients
    const own = byOperation[endpoint.operationId]
    if (own === 'unlimited') return undefined
    const who = origin ?? session?.userId ?? networkOf(remoteAddress)
    const bucket = { key: `${own?.name ?? ''} ${who}`, limit: own ?? otherwise }
    const waitMs = (isServer ? servers : clients).take(bucket)
    if (waitMs === 0) return undefined
    const error = MatrixError.limitExceeded(waitMs, 'You ask too often.')
    if (isServer && refusals < refusalsMax) return refuseLater(error)
    throw error
  }
}
