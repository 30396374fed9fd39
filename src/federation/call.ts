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

import type { Endpoint, RequestOf, ResponseOf } from '#http/endpoint.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import type { Json } from '#protocol/json.ts'

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
