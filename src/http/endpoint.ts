/**
 * One operation of the spec as data: what both who calls it and who serves it need to know.
 *
 * @module
 */

import type { Static, TSchema } from 'typebox'
import type { ServerName, UserId } from '#protocol/identifiers/ids.ts'

type Fields = Readonly<Record<string, TSchema>>
type Read<F> = F extends Fields ? { readonly [K in keyof F]: Static<F[K]> } : Record<never, never>

export interface Endpoint {
  readonly operationId: string
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  readonly path: `/${string}`
  /** `optional-user`: a valid token is used if there is one, none is fine. */
  readonly auth: 'none' | 'server' | 'user' | 'optional-user'
  readonly params?: Fields
  /** Absent query parameters are absent keys: wrap a field in `t.optional` unless it is required. */
  readonly query?: Fields
  readonly body?: TSchema
  /** The largest body in bytes; 64 KiB where it is not said. */
  readonly bodyBytesMax?: number
  readonly response: TSchema
}

export function endpoint<const E extends Endpoint>(definition: E): E {
  return definition
}

/** Who asks, on endpoints with `auth: 'user'`. */
export interface Session {
  readonly userId: UserId
  readonly deviceId: string
  readonly guest: boolean
}

export type RequestOf<E extends Endpoint> = {
  readonly params: Read<E['params']>
  readonly query: Read<E['query']>
  readonly body: E['body'] extends TSchema ? Static<E['body']> : undefined
  readonly signal: AbortSignal
  readonly remoteAddress: string
} & (E['auth'] extends 'server'
  ? { readonly origin: ServerName; readonly rawBody: Uint8Array }
  : unknown) &
  (E['auth'] extends 'user' ? { readonly session: Session } : unknown) &
  (E['auth'] extends 'optional-user' ? { readonly session?: Session } : unknown)

export type ResponseOf<E extends Endpoint> = Static<E['response']>

/** An endpoint and the function that answers it, which names the parts of the server it needs. */
export interface Route<Needs> {
  readonly endpoint: Endpoint
  readonly answer: (request: never, needs: Needs) => Promise<unknown>
}

export function answer<E extends Endpoint, Needs>(
  endpoint: E,
  answer: (request: RequestOf<E>, needs: Needs) => Promise<ResponseOf<E>>,
): Route<Needs> {
  return { endpoint, answer }
}
