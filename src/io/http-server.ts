/**
 * The HTTP server of a real homeserver, over TCP or TLS. Slow, idle and greedy peers are cut off by
 * limits that are all here.
 *
 * @module
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { MatrixError } from '../protocol/matrix-error.ts'
import { beginLater, ConnectionCounts, Handshakes } from './connection-limits.ts'
import type {
  Headers,
  HttpHandler,
  IncomingRequest,
  Listen,
  Listening,
  OutgoingAnswer,
  PeerListener,
  PeerSignal,
} from './http.ts'
import { Proxies } from './proxies.ts'

const limits = {
  /** From the first byte of a connection or of the next request to the end of the head. */
  headersTimeout: 15_000,
  /** From the first byte of a request to the last of its body: a bound for those that may take longer than `bodyMsMax`. */
  requestTimeout: 3_600_000,
  /** Between two requests of a connection. */
  keepAliveTimeout: 75_000,
  /** Thousands that come at the same time are late at the same time: so not many are found at once. */
  connectionsCheckingInterval: 200,
  /** A head of this size holds an event ID or a filter in any query we know of. */
  maxHeaderSize: 32_768,
}

const tlsLimits = {
  minVersion: 'TLSv1.2',
  /** From the first byte of a connection until both have their keys. */
  handshakeTimeout: 15_000,
  /** Nothing is read of a connection before its handshake may begin. */
  pauseOnConnect: true,
} as const

/** Enough for ten thousand clients that wait, and others beside them. */
const connectionsMax = 12_000
/** How long a body may take; one that is read in pieces has a second more for each 16 KiB. */
const bodyMsMax = 60_000
const chunkMsPerByte = 1_000 / 16_384
/** A peer that takes nothing of an answer for this long is cut off. */
const stalledMsMax = 60_000

export const listen: Listen = async (options, handler) => {
  let closing = false
  const isClosing = () => closing
  const proxies = new Proxies(options.proxies ?? [])
  const known = new WeakSet<Socket>()
  const serveOne = (request: IncomingMessage, response: ServerResponse) => {
    const startsConnection = !known.has(request.socket)
    known.add(request.socket)
    const asked = new Incoming(request, response, { proxies, startsConnection })
    answerOne(request, response, { asked, handler, isClosing })
  }
  const tlsServer =
    options.tls && createTlsServer({ ...limits, ...tlsLimits, ...options.tls }, serveOne)
  const server = tlsServer ?? createServer(limits, serveOne)
  server.maxConnections = connectionsMax
  server.maxRequestsPerSocket = 0
  server.on('clientError', refuseMalformed)
  const { takesConnections = () => true } = options
  const counts = new ConnectionCounts(proxies)
  const takes = (socket: Socket) => takesConnections() && counts.takes(socket)
  const handshakes = tlsServer && new Handshakes(tlsServer, proxies)
  beginLater(server, takes, handshakes?.begin ?? ((_, begin) => begin()))
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host: options.host, port: options.port }, () => {
      server.off('error', reject)
      resolve()
    })
  })
  const { port } = server.address() as AddressInfo
  return {
    host: options.host,
    port,
    replaceCertificate: (tls) => tlsServer?.setSecureContext(tls),
    close: (graceMs) => {
      closing = true
      handshakes?.end()
      return closeServer(server, graceMs)
    },
  } satisfies Listening
}

/** Answers what is not HTTP, or has too large a head, and hangs up. */
function refuseMalformed(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const status =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? '431 Request Header Fields Too Large'
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? '408 Request Timeout'
        : '400 Bad Request'
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
}

/** Nothing is kept here of what was asked while it is answered: that may take minutes. */
function answerOne(
  request: IncomingMessage,
  response: ServerResponse,
  {
    asked,
    handler,
    isClosing,
  }: { asked: Incoming; handler: HttpHandler; isClosing: () => boolean },
): void {
  // Errors of the socket end in 'close'; without a listener they would end the process.
  response.on('error', ignore)
  request.on('error', ignore)
  response.setTimeout(0)
  const { hasBody } = asked
  handler(asked)
    .then((answer) => send(request, response, { answer, hasBody, isClosing }))
    // The handler answers its own errors: what comes here is an answer that broke half-way.
    .catch(() => response.destroy())
}

function ignore(): void {}

/** What was asked. Its head is here alone, so that it goes when nobody needs it any more. */
class Incoming implements IncomingRequest {
  readonly method: string
  readonly target: string
  readonly headers: Headers
  readonly remoteAddress: string
  readonly encrypted: boolean
  readonly startsConnection: boolean
  readonly signal: PeerSignal
  readonly #message: IncomingMessage

  constructor(
    message: IncomingMessage,
    response: ServerResponse,
    { proxies, startsConnection }: { proxies: Proxies; startsConnection: boolean },
  ) {
    const { headers, socket } = message
    const forwarded = String(headers['x-forwarded-for'] ?? '')
    this.method = message.method ?? ''
    this.target = message.url ?? ''
    this.headers = headers as Headers
    this.remoteAddress = proxies.clientOf(socket.remoteAddress ?? '', forwarded)
    this.encrypted = 'encrypted' in socket
    this.startsConnection = startsConnection
    this.signal = new ResponseSignal(response)
    this.#message = message
    // Node would keep its own copies until the answer is sent.
    message.headers = noHeaders
    message.rawHeaders = []
  }

  get hasBody(): boolean {
    return this.headers['transfer-encoding'] !== undefined || this.#contentLength > 0
  }

  async body(bytesMax: number): Promise<Uint8Array> {
    const chunks: Uint8Array[] = []
    for await (const chunk of this.#read(bytesMax, 0)) chunks.push(chunk)
    return chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks)
  }

  chunks(bytesMax: number): AsyncIterable<Uint8Array> {
    return this.#read(bytesMax, chunkMsPerByte)
  }

  #read(bytesMax: number, msPerByte: number): AsyncIterable<Uint8Array> {
    const contentLength = this.#contentLength
    return readChunks(this.#message, { contentLength, bytesMax, msPerByte })
  }

  get #contentLength(): number {
    return Number(this.headers['content-length'] ?? 0)
  }
}

const noHeaders = {}

/** Aborted when a response closes before it is finished. It is much smaller than an `AbortSignal`. */
class ResponseSignal implements PeerSignal {
  readonly #response: ServerResponse
  #listeners: readonly PeerListener[] = none

  constructor(response: ServerResponse) {
    this.#response = response
  }

  get aborted(): boolean {
    return this.#response.closed && !this.#response.writableFinished
  }

  get reason(): Error {
    return new Error('the peer went away')
  }

  addEventListener(_: 'abort', listener: PeerListener): void {
    if (this.#listeners.length === 0) this.#response.on('close', this.#onClose)
    this.#listeners = [...this.#listeners, listener]
  }

  removeEventListener(_: 'abort', listener: PeerListener): void {
    this.#listeners = this.#listeners.filter((one) => one !== listener)
    if (this.#listeners.length === 0) this.#response.off('close', this.#onClose)
  }

  readonly #onClose = () => {
    if (!this.aborted) return
    for (const listener of this.#listeners) {
      if (typeof listener === 'function') listener()
      else listener.handleEvent()
    }
  }
}

const none: readonly PeerListener[] = []

async function* readChunks(
  request: IncomingMessage,
  {
    contentLength,
    bytesMax,
    msPerByte,
  }: { readonly contentLength: number; readonly bytesMax: number; readonly msPerByte: number },
): AsyncGenerator<Uint8Array> {
  const tooLarge = () =>
    new MatrixError(413, 'M_TOO_LARGE', `The body has more than ${bytesMax} bytes.`)
  if (contentLength > bytesMax) throw tooLarge()
  const startedMs = performance.now()
  let size = 0
  // Leaving the loop must not destroy the socket: the refusal is still to be sent over it.
  const pieces = request.iterator({ destroyOnReturn: false })
  for (;;) {
    const endMs = startedMs + bodyMsMax + size * msPerByte
    const { done, value } = await nextInTime(pieces, endMs - performance.now())
    if (done === true) return
    size += value.length
    if (size > bytesMax) throw tooLarge()
    yield value
  }
}

async function nextInTime(
  pieces: AsyncIterator<Uint8Array>,
  leftMs: number,
): Promise<IteratorResult<Uint8Array>> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(
    () => late.reject(new MatrixError(408, 'M_UNKNOWN', 'The body comes too slowly.')),
    leftMs,
  )
  try {
    return await Promise.race([pieces.next(), late.promise])
  } catch (cause) {
    if (cause instanceof MatrixError) throw cause
    throw new MatrixError(400, 'M_UNKNOWN', 'The body did not arrive whole.', { cause })
  } finally {
    clearTimeout(timer)
  }
}

async function send(
  request: IncomingMessage,
  response: ServerResponse,
  {
    answer,
    hasBody,
    isClosing,
  }: { answer: OutgoingAnswer; hasBody: boolean; isClosing: () => boolean },
): Promise<void> {
  if (response.destroyed) return
  // What is left of a body nobody wanted is not read: the connection ends after the answer.
  const unread = !request.complete && hasBody
  response.once('finish', () => {
    // A connection that is kept alive would hold up the end.
    if (unread || isClosing()) request.socket.destroySoon()
  })
  response.writeHead(
    answer.status,
    unread ? { ...answer.headers, connection: 'close' } : answer.headers,
  )
  if (request.method === 'HEAD') {
    response.end()
    return
  }
  const pieces = answer.body instanceof Uint8Array ? [answer.body] : answer.body
  for await (const piece of pieces) {
    if (response.destroyed) return
    if (!response.write(piece)) await drained(response)
  }
  response.end()
}

/** Waits until the peer has taken what was written, or is gone. */
function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => response.destroy(), stalledMsMax)
    const done = () => {
      clearTimeout(timer)
      response.off('drain', done)
      response.off('close', done)
      resolve()
    }
    response.on('drain', done)
    response.on('close', done)
  })
}

async function closeServer(server: Server, graceMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  server.closeIdleConnections()
  const timer = setTimeout(() => server.closeAllConnections(), graceMs)
  await closed
  clearTimeout(timer)
}
