/**
 * Limits how often somebody may ask: a user by name, a server by its own, all others by their address.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#rate-limiting
 *
 * @module
 */

import type { Clock } from '#io/clock.ts'
import { networkOf } from '#io/network-of.ts'
import { type Bucket, type RateLimit, TokenBuckets } from '#io/token-buckets.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
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

export interface RateLimiter {
  /** A 429 if a requester asks too often. */
  readonly take: (endpoint: Endpoint, requester: Requester) => MatrixError | undefined
  /** What a server would be refused with, if it asked; nothing is taken. */
  readonly wouldRefuse: (endpoint: Endpoint, origin: ServerName) => MatrixError | undefined
}

export function createRateLimiter(
  clock: Pick<Clock, 'monotonicMs'>,
  { ofClients, ofServers }: { readonly ofClients: RateLimits; readonly ofServers: RateLimits },
): RateLimiter {
  const clients = new TokenBuckets(clock)
  const servers = new TokenBuckets(clock)
  return {
    take: (endpoint, { origin, session, remoteAddress }) => {
      const isServer = origin !== undefined
      const who = origin ?? session?.userId ?? networkOf(remoteAddress)
      const bucket = bucketOf(isServer ? ofServers : ofClients, endpoint, who)
      const waitMs = bucket === undefined ? 0 : (isServer ? servers : clients).take(bucket)
      return waitMs === 0 ? undefined : tooOften(waitMs)
    },
    wouldRefuse: (endpoint, origin) => {
      const bucket = bucketOf(ofServers, endpoint, origin)
      const waitMs = bucket === undefined ? 0 : servers.waitMs(bucket)
      return waitMs === 0 ? undefined : tooOften(waitMs)
    },
  }
}

function tooOften(waitMs: number): MatrixError {
  return MatrixError.limitExceeded(waitMs, 'You ask too often.')
}

function bucketOf(
  { byOperation, otherwise }: RateLimits,
  { operationId }: Endpoint,
  who: string,
): Bucket | undefined {
  const own = byOperation[operationId]
  if (own === 'unlimited') return undefined
  return { key: `${own?.name ?? ''} ${who}`, limit: own ?? otherwise }
}
