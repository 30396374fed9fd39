/**
 * HTTP over sockets, for asking other servers.
 *
 * One pool of kept connections for each endpoint: protocol, host, port and the name on the
 * certificate. HTTP/1.1 only, redirects are not followed, and every answer is limited in size and
 * time. All that can go wrong is an `HttpFailure`.
 *
 * @module
 */

import { LRUCache } from 'lru-cache'
import { Pool } from 'undici'
import type { Dns } from './dns.ts'
import {
  type Headers,
  type HttpClient,
  HttpFailure,
  type IncomingAnswer,
  type OutgoingRequest,
} from './http.ts'
import { type ConnectorOptions, connectorTo, trusting } from './tls-connector.ts'

export interface HttpClientOptions {
  readonly dns: Dns
  /** PEM texts of certificate authorities that are trusted beside the system's. */
  readonly ca?: readonly string[]
  /** Whether certificates are checked. Never false but in tests, or where another layer does it. */
  readonly verifyTls?: boolean
  /** Whether addresses may be dialled that are not of the public internet. */
  readonly allowPrivateIps?: boolean
  readonly connectTimeoutMs?: number
  /** How long the other side may say nothing while it sends a body. */
  readonly silenceMsMax?: number
}

/** How many endpoints have a pool; the one that was used longest ago is closed. */
const poolsMax = 1000
/** How many connections to one endpoint there may be. */
const connectionsMax = 10
/** How long a connection that is not used is kept, unless the other side says less. */
const keepAliveMs = 30_000

export function createHttpClient(options: HttpClientOptions): HttpClient {
  const { connectTimeoutMs = 10_000, silenceMsMax = 20_000 } = options
  const connector: ConnectorOptions = {
    dns: options.dns,
    allowPrivateIps: options.allowPrivateIps ?? false,
    secureContext: trusting(options.ca ?? []),
    verifyTls: options.verifyTls ?? true,
    connectTimeoutMs,
  }
  const pools = new LRUCache<string, Pool>({
    max: poolsMax,
    dispose: (pool) => void pool.close().catch(() => {}),
  })
  const poolOf = (request: OutgoingRequest): Pool => {
    const { protocol, hostname, port, tlsName = hostname } = request
    const key = `${protocol} ${hostname} ${port} ${tlsName}`
    const known = pools.get(key)
    if (known !== undefined) return known
    const pool = openPool({ protocol, hostname, port, tlsName }, connector, silenceMsMax)
    pools.set(key, pool)
    return pool
  }
  return {
    request: (request) => requestOnce(poolOf(request), request),
    async close() {
      const open = [...pools.values()]
      await Promise.all(open.map((pool) => pool.destroy()))
      pools.clear()
    },
  }
}

function openPool(
  endpoint: Required<Pick<OutgoingRequest, 'protocol' | 'hostname' | 'port' | 'tlsName'>>,
  connector: ConnectorOptions,
  silenceMsMax: number,
): Pool {
  // Only the connector dials: what the pool takes for the host is never looked up.
  return new Pool(`${endpoint.protocol}//pool.invalid:${endpoint.port}`, {
    connect: connectorTo(endpoint, connector),
    connections: connectionsMax,
    allowH2: false,
    pipelining: 1,
    keepAliveTimeout: keepAliveMs,
    keepAliveMaxTimeout: 4 * keepAliveMs,
    headersTimeout: 0,
    bodyTimeout: silenceMsMax,
  })
}

async function requestOnce(pool: Pool, request: OutgoingRequest): Promise<IncomingAnswer> {
  const abort = new AbortController()
  const timer = setTimeout(
    () => abort.abort(new HttpFailure('timeout', `no answer in ${request.timeoutMs} ms`)),
    request.timeoutMs,
  )
  const onAbort = () => abort.abort(new HttpFailure('aborted', 'the request was called off'))
  if (request.signal?.aborted) onAbort()
  request.signal?.addEventListener('abort', onAbort, { once: true })
  try {
    return await exchangeAgain(pool, request, abort.signal)
  } catch (error) {
    throw asFailure(error)
  } finally {
    clearTimeout(timer)
    request.signal?.removeEventListener('abort', onAbort)
  }
}

/**
 * A kept connection may be closed by the other side at the moment in which we use it. So what may be
 * said twice is said twice, if the connection broke before any answer.
 */
async function exchangeAgain(
  pool: Pool,
  request: OutgoingRequest,
  signal: AbortSignal,
): Promise<IncomingAnswer> {
  try {
    return await exchange(pool, request, signal)
  } catch (error) {
    const isRepeatable = request.method === 'GET' || request.method === 'PUT'
    if (!isRepeatable || signal.aborted || !isBrokenConnection(error)) throw error
    return await exchange(pool, request, signal)
  }
}

const brokenConnection = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'])

function isBrokenConnection(error: unknown): boolean {
  return error instanceof Error && 'code' in error && brokenConnection.has(String(error.code))
}

async function exchange(
  pool: Pool,
  request: OutgoingRequest,
  signal: AbortSignal,
): Promise<IncomingAnswer> {
  const answer = await pool.request({
    method: request.method as 'GET',
    path: request.target,
    headers: { ...request.headers, host: request.hostHeader },
    body: request.body ?? null,
    signal,
  })
  const headers: Headers = answer.headers
  const encoding = headers['content-encoding']
  if (encoding !== undefined && encoding !== 'identity') {
    answer.body.on('error', () => {}).destroy()
    throw new HttpFailure('broken', `the answer is encoded as ${encoding}, which was not asked for`)
  }
  const body = await readAnswer(answer.body, headers, request.answerBytesMax)
  return { status: answer.statusCode, headers, body }
}

async function readAnswer(
  body: AsyncIterable<Uint8Array> & {
    destroy(): unknown
    on(event: 'error', act: () => void): unknown
  },
  headers: Headers,
  bytesMax: number,
): Promise<Uint8Array> {
  const tooLarge = () => {
    body.on('error', () => {})
    body.destroy()
    return new HttpFailure('too-large', `the answer has more than ${bytesMax} bytes`)
  }
  if (Number(headers['content-length'] ?? 0) > bytesMax) throw tooLarge()
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of body) {
    length += chunk.length
    if (length > bytesMax) throw tooLarge()
    chunks.push(chunk)
  }
  return chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks)
}

/** Any error of undici, or of what is below it, as an `HttpFailure`. */
function asFailure(error: unknown): HttpFailure {
  if (error instanceof HttpFailure) return error
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  const message = error instanceof Error ? error.message : String(error)
  const kind = code === 'UND_ERR_BODY_TIMEOUT' ? 'timeout' : 'broken'
  return new HttpFailure(kind, `the exchange broke off: ${message}`, { cause: error })
}
