/**
 * One operation of the spec as data: what both who calls it and who serves it need to know.
 *
 * @module
 */

import type { PeerSignal } from '#io/http.ts'
import type { ServerName, UserId } from '#protocol/identifiers/ids.ts'
import type { Static, TOptional, TSchema } from '#schema/schema.ts'
import type { ByteAnswer } from './byte-answer.ts'

type Fields = Readonly<Record<string, TSchema>>
type OptionalKeys<F> = { [K in keyof F]: F[K] extends TOptional ? K : never }[keyof F]
type Read<F> = F extends Fields
  ? { readonly [K in Exclude<keyof F, OptionalKeys<F>>]: Static<F[K]> } & {
      readonly [K in OptionalKeys<F>]?: F[K] extends TSchema ? Static<F[K]> : never
    }
  : Record<never, never>

export interface Endpoint {
  readonly operationId: string
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** With parameters in braces, as in the spec. */
  readonly path: `/${string}`
  /** Whether the last parameter may be left out of the path, with its slash or without: it is empty then. */
  readonly lastParamMayBeEmpty?: true
  /** `admin`: a user who is an administrator of this server. `optional-user`: a valid token is used if there is one, none is fine. */
  readonly auth: 'none' | 'server' | 'user' | 'optional-user' | 'admin'
  /** Whether guests may ask, where users may. */
  readonly guests?: boolean
  /** Whether it is served to users whose account is locked: they may log out. */
  readonly evenIfLocked?: true
  /** Whether users who are suspended are refused: others would see what they do. */
  readonly notIfSuspended?: true
  readonly params?: Fields
  /**
   * Absent query parameters are absent keys: wrap a field in `t.optional` unless it is required. A
   * `t.array` takes a parameter that may be repeated; `t.integer` and `t.boolean` are read from text.
   */
  readonly query?: Fields
  readonly body?: TSchema
  /** The body is not parsed: whoever answers takes `rawBody` apart, and `body` is `undefined`. */
  readonly bodyIsBytes?: true
  /** Numbers in the body keep their text, also those of clients: for what they have signed. */
  readonly keepsNumbers?: true
  /** The body is parsed, and `rawBody` is given too: for what is kept as the client wrote it. */
  readonly keepsBytes?: true
  /** The body is a file: whoever answers reads `upload` piece by piece. Not for servers' requests. */
  readonly bodyIsStream?: true
  /** The largest body in bytes; 64 KiB where it is not said. */
  readonly bodyBytesMax?: number
  readonly response: TSchema
}

export function endpoint<const E extends Endpoint>(definition: E): E {
  return definition
}

/** Who asks, on endpoints for users and administrators. */
export interface Session {
  readonly userId: UserId
  readonly deviceId: string
  readonly guest: boolean
  readonly locked?: boolean
  readonly suspended?: boolean
}

/** A file that is sent to us. */
export interface Upload {
  readonly contentType: string | undefined
  /** The file, piece by piece. Throws a `MatrixError` 413 `M_TOO_LARGE` beyond `bytesMax`. */
  chunks(bytesMax: number): AsyncIterable<Uint8Array>
}

export type RequestOf<E extends Endpoint> = {
  readonly params: Read<E['params']>
  readonly query: Read<E['query']>
  readonly body: E['bodyIsBytes'] extends true
    ? undefined
    : E['body'] extends TSchema
      ? Static<E['body']>
      : undefined
  readonly signal: PeerSignal
  readonly remoteAddress: string
} & (E['keepsBytes'] extends true ? { readonly rawBody: Uint8Array } : unknown) &
  (E['auth'] extends 'server'
    ? { readonly origin: ServerName; readonly rawBody: Uint8Array }
    : unknown) &
  (E['bodyIsStream'] extends true ? { readonly upload: Upload } : unknown) &
  (E['auth'] extends 'user' | 'admin' ? { readonly session: Session } : unknown) &
  (E['auth'] extends 'optional-user' ? { readonly session: Session | undefined } : unknown)

export type ResponseOf<E extends Endpoint> = Kept<Static<E['response']>>

/** A value that nobody changes: whoever answers may give what it keeps. */
type Kept<T> = T extends readonly (infer Item)[]
  ? readonly Kept<Item>[]
  : T extends object
    ? { readonly [K in keyof T]: Kept<T[K]> }
    : T

/** An endpoint and the function that answers it, which names the parts of the server it needs. */
export interface Route<Needs> {
  readonly endpoint: Endpoint
  readonly answer: (request: never, needs: Needs) => Promise<unknown>
}

/**
 * Binds a function to an endpoint. What it gives is sent as JSON with status 200; a `ByteAnswer` is
 * sent as it is.
 */
export function answer<E extends Endpoint, Needs>(
  endpoint: E,
  answer: (request: RequestOf<E>, needs: Needs) => Promise<ResponseOf<E> | ByteAnswer>,
): Route<Needs> {
  return { endpoint, answer }
}
