/**
 * One HTTP request to a server, by whichever way discovery finds.
 *
 * @module
 */

import { type HttpClient, HttpFailure, type IncomingAnswer } from '#io/http.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import type { Discovery, Target } from './discovery.ts'

export interface WayOut {
  readonly httpClient: HttpClient
  readonly discovery: Discovery
}

export interface ServerRequest {
  readonly method: string
  readonly target: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array | undefined
  readonly timeoutMs: number
  readonly answerBytesMax: number
  readonly signal?: AbortSignal | undefined
}

const userAgent = 'Hansa'

/** Tries one way after the other to reach a server, until somebody answers. Throws `HttpFailure`. */
export async function askServer(
  { httpClient, discovery }: WayOut,
  server: ServerName,
  request: ServerRequest,
): Promise<IncomingAnswer> {
  let failure: HttpFailure | undefined
  for (const target of await discover(discovery, server)) {
    try {
      return await httpClient.request(outgoing(target, request))
    } catch (error) {
      if (!(error instanceof HttpFailure)) throw error
      failure = error
      // Whoever could be connected to is the server; it is not asked twice.
      if (!isBeforeConnection(error)) break
    }
  }
  throw failure ?? new HttpFailure('dns', `nothing leads to ${server}`)
}

async function discover(discovery: Discovery, server: ServerName): Promise<readonly Target[]> {
  try {
    return await discovery.targets(server)
  } catch (cause) {
    throw new HttpFailure('dns', cause instanceof Error ? cause.message : String(cause), { cause })
  }
}

function isBeforeConnection({ kind }: HttpFailure): boolean {
  return kind === 'connect' || kind === 'dns' || kind === 'tls' || kind === 'blocked-address'
}

function outgoing({ hostname, port, hostHeader, tlsName }: Target, request: ServerRequest) {
  const { method, target, headers, body, timeoutMs, answerBytesMax, signal } = request
  return {
    method,
    protocol: 'https:' as const,
    hostname,
    port,
    hostHeader,
    tlsName,
    target,
    headers: {
      'user-agent': userAgent,
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body !== undefined && { body }),
    ...(signal !== undefined && { signal }),
    timeoutMs,
    answerBytesMax,
  }
}
