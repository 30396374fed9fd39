/**
 * How other servers are let in.
 *
 * - Of what they ask, one begins in each turn of the event loop, of different addresses in turn: our own
 *   users do not wait for a flood, and neither do other servers.
 * - Of one server large bodies are read one at a time, and not faster than any server has a use for.
 * - Who asks too much is refused before anything of the request is read, checked or parsed, if it is known
 *   that it is they who ask: anybody can write another's name into a request.
 *
 * @module
 */

import { LRUCache } from 'lru-cache'
import type { Clock } from '#io/clock.ts'
import type { IncomingRequest } from '#io/http.ts'
import { networkOf } from '#io/network-of.ts'
import { OneATurn } from '#io/one-a-turn.ts'
import { TokenBuckets } from '#io/token-buckets.ts'
import { Turns } from '#io/turns.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import type { MatrixError } from '#protocol/matrix-error.ts'
import type { Endpoint } from './endpoint.ts'
import type { HeldRefusals } from './held-refusals.ts'

export type ServerEntrance = <T>(
  asked: {
    readonly endpoint: Endpoint
    readonly request: IncomingRequest
    readonly params: Readonly<Record<string, string>>
  },
  /** Reads the request and finds out that its server has signed it. */
  read: () => Promise<T>,
) => Promise<T>

export interface EntranceNeeds {
  readonly clock: Pick<Clock, 'monotonicMs' | 'sleep' | 'yield'>
  /** Whether it is limited how much may be sent in a second. */
  readonly isLimited: boolean
  readonly refusals: HeldRefusals
  /** The server that a request says it comes from, which is not proved. */
  readonly claimedOrigin: (request: IncomingRequest) => ServerName | undefined
  /** Why a server would be refused this, whatever the request says. */
  readonly refusalOf: (
    endpoint: Endpoint,
    origin: ServerName,
    params: Readonly<Record<string, string>>,
  ) => MatrixError | undefined
}

/** A body of more than this is large. */
const smallBytesMax = 65_536
/** How many bytes of large bodies are read from one address. What comes faster waits to be read. */
const largeBytes = { perSecond: 16_777_216, burst: 67_108_864 }
/** For how many it is remembered that a server speaks from a network. */
const provedMax = 10_000

export function createServerEntrance(needs: EntranceNeeds): ServerEntrance {
  const { clock, isLimited, refusals, claimedOrigin, refusalOf } = needs
  const bytesRead = new TokenBuckets(clock)
  const beginning = new OneATurn<string>(clock)
  const largeBodies = new Turns('large bodies of a server')
  const proved = new LRUCache<string, true>({ maxSize: provedMax, sizeCalculation: () => 1 })
  return async ({ endpoint, request, params }, read) => {
    const network = networkOf(request.remoteAddress)
    const origin = claimedOrigin(request)
    const who = `${network} ${origin}`
    const refusal = () =>
      origin !== undefined && proved.has(who) ? refusalOf(endpoint, origin, params) : undefined
    const enter = async () => {
      await beginning.begin(network)
      const entered = await read()
      proved.set(who, true)
      return entered
    }
    const early = refusal()
    if (early !== undefined) await refusals.refuse(early)
    if (!isLarge(request)) return await enter()
    return await largeBodies.run(who, async () => {
      const bucket = { key: network, limit: largeBytes }
      const waitMs = isLimited ? bytesRead.debtMs(bucket) : 0
      if (waitMs > 0) await clock.sleep(waitMs)
      bytesRead.spend(lengthOf(endpoint, request), bucket)
      // Much may have happened before it was its turn.
      const late = refusal()
      if (late !== undefined) throw late
      return await enter()
    })
  }
}

/** How long a body is; the most that it may be, if that is not said. */
function lengthOf({ bodyBytesMax }: Endpoint, { headers }: IncomingRequest): number {
  return Number(headers['content-length'] ?? bodyBytesMax ?? smallBytesMax)
}

function isLarge({ headers }: IncomingRequest): boolean {
  if (headers['transfer-encoding'] !== undefined) return true
  return Number(headers['content-length'] ?? 0) > smallBytesMax
}
