/**
 * Calling another server: one signed request, one checked answer.
 *
 * Whoever calls names an endpoint, which is data shared with those who serve it, and gets typed
 * values. All that can go wrong on the way is a `FederationError`, so that a caller knows whether to
 * ask somebody else, to wait, or to tell its user.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#request-authentication
 *
 * @module
 */

import assert from 'node:assert/strict'
import type { Endpoint, RequestOf, ResponseOf } from '#http/endpoint.ts'
import { type HttpClient, HttpFailure, type IncomingAnswer } from '#io/http.ts'
import { canonicalJsonBytes } from '#protocol/canonical-json.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import { isJsonObject, type Json, type JsonObject } from '#protocol/json.ts'
import { readJson } from '#protocol/json-reader.ts'
import { FederationError, type Signer } from '#rooms/remote-servers.ts'
import { problemWith, sentence } from '#schema/check.ts'
import type { BackOff } from './back-off.ts'
import type { Discovery, Target } from './discovery.ts'
import { authorizationOf } from './request-signing.ts'

/** What an endpoint takes. Leave out `params`, `query` and `body` where it has none. */
export type CallRequest<E extends Endpoint> = (E['params'] extends object
  ? { readonly params: RequestOf<E>['params'] }
  : { readonly params?: undefined }) &
  (E['query'] extends object
    ? { readonly query: RequestOf<E>['query'] }
    : { readonly query?: undefined }) &
  (E['body'] extends object
    ? {
        /** A value, or the bytes of a canonical JSON text, which are sent and signed as they are. */
        readonly body: Json | Uint8Array
      }
    : { readonly body?: undefined })

export interface CallOptions {
  /** From start to the last byte of the answer; a minute where it is not said. */
  readonly timeoutMs?: number
  /** The longest answer taken; 16 MiB where it is not said. */
  readonly answerBytesMax?: number
  readonly signal?: AbortSignal
  /** Also asks a server that is being left alone after failures. */
  readonly despiteBackOff?: boolean
}

export interface FederationClient {
  /** Calls an operation and checks the answer against the endpoint's schema. Throws `FederationError`. */
  call<const E extends Endpoint>(
    destination: ServerName,
    endpoint: E,
    request: CallRequest<E>,
    options?: CallOptions,
  ): Promise<{ readonly json: ResponseOf<E>; readonly bytes: Uint8Array }>
  /** Like `call`, but the answer is neither parsed nor checked: for answers of many megabytes. */
  callForBytes<const E extends Endpoint>(
    destination: ServerName,
    endpoint: E,
    request: CallRequest<E>,
    options?: CallOptions,
  ): Promise<Uint8Array>
}

export interface FederationClientNeeds {
  readonly signer: Signer
  readonly httpClient: HttpClient
  readonly discovery: Discovery
  readonly backOff: BackOff
  /** Whether we federate with a server at all. */
  readonly isAllowed?: (server: ServerName) => boolean
}

const timeoutMsDefault = 60_000
const answerBytesMaxDefault = 16 * 1024 * 1024
const userAgent = 'Hansa'

export function createFederationClient(needs: FederationClientNeeds): FederationClient {
  const callForBytes: FederationClient['callForBytes'] = async (
    destination,
    endpoint,
    request,
    options = {},
  ) => {
    checkMayCall(needs, destination, options)
    const outgoing = { method: endpoint.method, target: targetOf(endpoint, request), ...options }
    const body = bodyOf(request.body)
    const answer = await askTargets(needs, destination, { ...outgoing, body })
    return bodyOfSuccess(needs, destination, answer)
  }
  return {
    callForBytes,
    async call(destination, endpoint, request, options) {
      const bytes = await callForBytes(destination, endpoint, request, options)
      const bad = (problem: string) => new FederationError(destination, 'bad-answer', problem)
      const read = readJson(bytes, 'raw')
      if (!read.ok) throw bad(`The answer of ${destination} is not JSON: ${read.reason}.`)
      const problem = problemWith(endpoint.response, read.value)
      if (problem !== undefined) {
        throw bad(
          `The answer of ${destination} is not one to ${endpoint.operationId}: ${sentence(problem)}`,
        )
      }
      return { json: read.value as ResponseOf<typeof endpoint>, bytes }
    },
  }
}

function checkMayCall(
  { signer, isAllowed, backOff }: FederationClientNeeds,
  destination: ServerName,
  options: CallOptions,
): void {
  assert.notEqual(destination, signer.serverName, 'a server does not call itself')
  if (isAllowed?.(destination) === false) {
    const sentence = `This server does not federate with ${destination}.`
    throw new FederationError(destination, 'unreachable', sentence)
  }
  const failing = backOff.failing(destination)
  if (failing === undefined || options.despiteBackOff || backOff.waitMs(destination) === 0) return
  const sentence = `${destination} did not answer and is left alone for a while: ${failing.reason}`
  throw new FederationError(destination, 'backing-off', sentence)
}

/** The request target: the path with its parameters, and the query. */
function targetOf(
  endpoint: Endpoint,
  request: { params?: object | undefined; query?: object | undefined },
): string {
  const params = new Map<string, unknown>(Object.entries(request.params ?? {}))
  const path = endpoint.path.replace(/\{(\w+)\}/g, (_, name: string) => {
    assert(params.has(name), `${endpoint.operationId} needs ${name}`)
    return encodeURIComponent(String(params.get(name)))
  })
  const fields: string[] = []
  for (const [name, value] of Object.entries(request.query ?? {})) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined) fields.push(`${name}=${encodeURIComponent(String(one))}`)
    }
  }
  return fields.length === 0 ? path : `${path}?${fields.join('&')}`
}

function bodyOf(body: Json | Uint8Array | undefined): Uint8Array | undefined {
  if (body === undefined || body instanceof Uint8Array) return body
  return canonicalJsonBytes(body)
}

interface Outgoing extends CallOptions {
  readonly method: string
  readonly target: string
  readonly body: Uint8Array | undefined
}

/** Tries one way after the other to reach a server, until somebody answers. */
async function askTargets(
  needs: FederationClientNeeds,
  destination: ServerName,
  outgoing: Outgoing,
): Promise<IncomingAnswer> {
  const { method, target, body: content } = outgoing
  const authorization = authorizationOf(needs.signer, { method, target, destination, content })
  let failure: unknown
  for (const target of await discover(needs, destination)) {
    try {
      return await ask(needs, target, { ...outgoing, authorization })
    } catch (error) {
      if (!(error instanceof HttpFailure)) throw error
      if (error.kind === 'aborted' || error.kind === 'too-large') {
        const kind = error.kind === 'aborted' ? 'unreachable' : 'bad-answer'
        throw new FederationError(destination, kind, `${destination}: ${error.message}.`, {
          cause: error,
        })
      }
      failure = error
      // Whoever could be connected to is the server; it is not asked twice.
      if (error.kind === 'timeout' || error.kind === 'broken') break
    }
  }
  throw unreachable(needs, destination, failure)
}

async function discover(
  needs: FederationClientNeeds,
  destination: ServerName,
): Promise<readonly Target[]> {
  try {
    return await needs.discovery.targets(destination)
  } catch (error) {
    throw unreachable(needs, destination, error)
  }
}

function unreachable(
  { backOff }: FederationClientNeeds,
  destination: ServerName,
  cause: unknown,
): FederationError {
  const why = cause instanceof Error ? cause.message : String(cause)
  backOff.failed(destination, why)
  const sentence = `${destination} cannot be reached: ${why}.`
  return new FederationError(destination, 'unreachable', sentence, { cause })
}

async function ask(
  { httpClient }: FederationClientNeeds,
  target: Target,
  outgoing: Outgoing & { readonly authorization: string },
): Promise<IncomingAnswer> {
  const { body, signal } = outgoing
  return await httpClient.request({
    method: outgoing.method,
    protocol: 'https:',
    ...target,
    target: outgoing.target,
    headers: {
      authorization: outgoing.authorization,
      'user-agent': userAgent,
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && { body }),
    ...(signal !== undefined && { signal }),
    timeoutMs: outgoing.timeoutMs ?? timeoutMsDefault,
    answerBytesMax: outgoing.answerBytesMax ?? answerBytesMaxDefault,
  })
}

/** What a proxy says of a server behind it that is down. */
const downStatuses: ReadonlySet<number> = new Set([502, 503, 504])

function bodyOfSuccess(
  { backOff }: FederationClientNeeds,
  destination: ServerName,
  { status, body }: IncomingAnswer,
): Uint8Array {
  if (downStatuses.has(status)) {
    const reason = `it answers with status ${status}`
    backOff.failed(destination, reason)
    const sentence = `${destination} cannot be reached: ${reason}.`
    throw new FederationError(destination, 'unreachable', sentence, { status })
  }
  backOff.signOfLife(destination)
  if (status >= 200 && status < 300) return body
  if (status < 400) {
    const sentence = `${destination} answers with status ${status}, which means nothing here.`
    throw new FederationError(destination, 'bad-answer', sentence, { status })
  }
  throw refusal(destination, status, body)
}

function refusal(destination: ServerName, status: number, bytes: Uint8Array): FederationError {
  const read = readJson(bytes, 'raw')
  const body: JsonObject | undefined = read.ok && isJsonObject(read.value) ? read.value : undefined
  const errcode = typeof body?.errcode === 'string' ? body.errcode.slice(0, 255) : undefined
  const said = typeof body?.error === 'string' ? `: ${body.error.slice(0, 500)}` : ''
  const sentence = `${destination} refuses with ${status} ${errcode ?? 'and no errcode'}${said}`
  return new FederationError(destination, 'refused', sentence, {
    status,
    ...(errcode !== undefined && { errcode }),
    ...(body !== undefined && { body }),
  })
}
