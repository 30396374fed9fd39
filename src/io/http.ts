/**
 * HTTP as Hansa sees it, on both sides: what a request and an answer are, without saying how they
 * travel. `http-client.ts` and `http-server.ts` carry them over sockets, the simulation over a
 * seeded network.
 *
 * @module
 */

/** Header names are in lower case. A header that came several times is an array. */
export type Headers = Readonly<Record<string, string | readonly string[] | undefined>>

/**
 * What is told of a peer that goes away: the part of an `AbortSignal` that is needed, so that one will do,
 * but thousands of requests wait, and a smaller thing will do, too.
 */
export interface PeerSignal {
  readonly aborted: boolean
  readonly reason: unknown
  addEventListener(type: 'abort', listener: PeerListener): void
  removeEventListener(type: 'abort', listener: PeerListener): void
}

export type PeerListener = (() => void) | { handleEvent(): void }

/** A request that reached us. */
export interface IncomingRequest {
  readonly method: string
  /** The request target exactly as it was sent: path and query, still encoded. */
  readonly target: string
  readonly headers: Headers
  /** The address of the peer: IPv4 or IPv6, no port. */
  readonly remoteAddress: string
  /** Whether the request came over TLS. */
  readonly encrypted: boolean
  /** Whether it is the first request of its connection. */
  readonly startsConnection?: boolean
  /** Reads the whole body. Throws a `MatrixError` 413 `M_TOO_LARGE` beyond `bytesMax`. Call it once. */
  body(bytesMax: number): Promise<Uint8Array>
  /** Like `body`, piece by piece as it comes, for bodies that may be large and take long. */
  chunks(bytesMax: number): AsyncIterable<Uint8Array>
  /** Aborted when the peer goes away or the server ends. */
  readonly signal: PeerSignal
}

/** Our answer. A body in pieces is written one by one, as fast as the peer takes them. */
export interface OutgoingAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array | readonly Uint8Array[] | AsyncIterable<Uint8Array>
}

export type HttpHandler = (request: IncomingRequest) => Promise<OutgoingAnswer>

/** Where and how to reach another server for one request: the outcome of server discovery. */
export interface OutgoingRequest {
  readonly method: string
  /** `http:` or `https:`, host, port and the exact request target. The host is what is dialled. */
  readonly protocol: 'http:' | 'https:'
  /** The host name or IP address (no brackets) to connect to. */
  readonly hostname: string
  readonly port: number
  /** The name in the `Host` header, with a port if it has one. */
  readonly hostHeader: string
  /** The name for SNI and for checking the certificate; an IP literal here is checked as one. */
  readonly tlsName?: string
  readonly target: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array | string
  /** From start to the last byte of the answer. */
  readonly timeoutMs: number
  /** A longer answer fails with `HttpFailure` `too-large`. */
  readonly answerBytesMax: number
  readonly signal?: AbortSignal
}

/** An answer that reached us, whatever its status. Redirects are not followed. */
export interface IncomingAnswer {
  readonly status: number
  readonly headers: Headers
  readonly body: Uint8Array
}

/** Why no answer came. */
export class HttpFailure extends Error {
  readonly kind:
    | 'blocked-address'
    | 'connect'
    | 'dns'
    | 'tls'
    | 'timeout'
    | 'too-large'
    | 'aborted'
    | 'broken'

  constructor(kind: HttpFailure['kind'], message: string, options: { cause?: unknown } = {}) {
    super(message, options)
    this.name = 'HttpFailure'
    this.kind = kind
  }
}

export interface HttpClient {
  /** Sends one request. Throws `HttpFailure` if no whole answer comes. */
  request(request: OutgoingRequest): Promise<IncomingAnswer>
  close(): Promise<void>
}

export interface ListenOptions {
  readonly host: string
  /** 0 for any free port. */
  readonly port: number
  readonly tls?: { readonly cert: string; readonly key: string }
  /** Addresses and networks of proxies, which are believed about whom they speak for; none, if not said. */
  readonly proxies?: readonly string[]
  /** Whether new connections are taken at the moment; always, if it is not said. */
  readonly takesConnections?: () => boolean
}

export interface Listening {
  readonly host: string
  readonly port: number
  /** Uses another certificate for connections from here on; nothing happens without TLS. */
  replaceCertificate(tls: { readonly cert: string; readonly key: string }): void
  /** Stops accepting, lets running requests finish for at most `graceMs`, then cuts them. */
  close(graceMs: number): Promise<void>
}

export type Listen = (options: ListenOptions, handler: HttpHandler) => Promise<Listening>
