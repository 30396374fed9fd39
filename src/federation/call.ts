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
import type { Clock } from '#io/clock.ts'
import { HttpFailure, type IncomingAnswer } from '#io/http.ts'
import { canonicalJsonBytes } from '#protocol/canonical-json.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import { isJsonObject, type Json, type JsonObject } from '#protocol/json.ts'
import { readJson } from '#protocol/json-reader.ts'
import { FederationError, type Signer } from '#rooms/remote-servers.ts'
import { problemWith, sentence } from '#schema/check.ts'
import { askServer, type WayOut } from './ask-server.ts'
import type { BackOff } from './back-off.ts'
import { authorizationOf } from './request-signing.ts'
import { retryAfterMs } from './retry-after.ts'

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
  /** The caller judges by itself whether the server does well, and tells the back-off. */
  readonly callerJudges?: boolean
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
  /**
   * Like `callForBytes`, but gives the answer whatever its status, which the caller judges. Throws a
   * `FederationError` only if no answer came.
   */
  callForAnswer<const E extends Endpoint>(
    destination: ServerName,
    endpoint: E,
    request: CallRequest<E>,
    options?: CallOptions,
  ): Promise<IncomingAnswer>
}

export interface FederationClientNeeds extends WayOut {
  readonly clock: Pick<Clock, 'now'>
  readonly signer: Signer
  readonly backOff: BackOff
  /** Whether we federate with a server at all. */
  readonly isAllowed?: (server: ServerName) => boolean
}

const timeoutMsDefault = 60_000
const answerBytesMaxDefault = 16 * 1024 * 1024

export function createFederationClient(needs: FederationClientNeeds): FederationClient {
  const callForAnswer: FederationClient['callForAnswer'] = async (
    destination,
    endpoint,
    request,
    options = {},
  ) => {
    checkMayCall(needs, destination, options)
    const outgoing = { method: endpoint.method, target: targetOf(endpoint, request), ...options }
    return await ask(needs, destination, { ...outgoing, body: bodyOf(request.body) })
  }
  const callForBytes: FederationClient['callForBytes'] = async (
    destination,
    endpoint,
    request,
    options = {},
  ) => {
    const answer = await callForAnswer(destination, endpoint, request, options)
    return bodyOfSuccess(needs, destination, answer, options)
  }
  return {
    callForAnswer,
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

async function ask(
  needs: FederationClientNeeds,
  destination: ServerName,
  outgoing: Outgoing,
): Promise<IncomingAnswer> {
  const { method, target, body, signal } = outgoing
  const signed = { method, target, destination, content: body }
  try {
    return await askServer(needs, destination, {
      method,
      target,
      body,
      signal,
      headers: { authorization: authorizationOf(needs.signer, signed) },
      timeoutMs: outgoing.timeoutMs ?? timeoutMsDefault,
      answerBytesMax: outgoing.answerBytesMax ?? answerBytesMaxDefault,
    })
  } catch (cause) {
    if (!(cause instanceof HttpFailure)) throw cause
    // Neither says that the server is down.
    const isItsFault = cause.kind !== 'aborted' && cause.kind !== 'too-large'
    if (isItsFault && !outgoing.callerJudges) needs.backOff.failed(destination, cause.message)
    const kind = cause.kind === 'too-large' ? 'bad-answer' : 'unreachable'
    const sentence = `${destination} cannot be reached: ${cause.message}.`
    throw new FederationError(destination, kind, sentence, { cause })
  }
}

/** What a proxy says of a server behind it that is down. */
const downStatuses: ReadonlySet<number> = new Set([502, 503, 504])

function bodyOfSuccess(
  { backOff, clock }: FederationClientNeeds,
  destination: ServerName,
  answer: IncomingAnswer,
  { callerJudges }: CallOptions,
): Uint8Array {
  const { status, body } = answer
  const askedMs = retryAfterMs(answer, { now: clock.now(), mostMs: backOff.longestMs })
  if (downStatuses.has(status)) {
    const reason = `it answers with status ${status}`
    if (!callerJudges) backOff.failed(destination, reason, askedMs)
    const sentence = `${destination} cannot be reached: ${reason}.`
    const details = { status, retryAfterMs: askedMs }
    throw new FederationError(destination, 'unreachable', sentence, details)
  }
  if (!callerJudges) backOff.signOfLife(destination)
  if (status >= 200 && status < 300) return body
  if (status < 400) {
    const sentence = `${destination} answers with status ${status}, which means nothing here.`
    throw new FederationError(destination, 'bad-answer', sentence, { status })
  }
  throw refusal(destination, answer, askedMs)
}

function refusal(
  destination: ServerName,
  { status, body: bytes }: IncomingAnswer,
  askedMs: number | undefined,
): FederationError {
  const read = readJson(bytes, 'raw')
  const body: JsonObject | undefined = read.ok && isJsonObject(read.value) ? read.value : undefined
  const errcode = typeof body?.errcode === 'string' ? body.errcode.slice(0, 255) : undefined
  const said = typeof body?.error === 'string' ? `: ${body.error.slice(0, 500)}` : ''
  const sentence = `${destination} refuses with ${status} ${errcode ?? 'and no errcode'}${said}`
  return new FederationError(destination, 'refused', sentence, {
    status,
    retryAfterMs: askedMs,
    ...(errcode !== undefined && { errcode }),
    ...(body !== undefined && { body }),
  })
}
