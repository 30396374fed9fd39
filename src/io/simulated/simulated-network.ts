/**
 * A network in memory: whole HTTP requests and answers between the servers of a world, with delay,
 * loss, repetition, reordering (two requests may overtake each other) and cuts, all drawn from a
 * seed and timed by the virtual clock.
 *
 * Where a real network would leave a request hanging, it hangs here until its own time-out. A cut
 * is between two hosts and in one direction: what is under way when a link is cut is lost.
 *
 * A host that is killed says nothing more: neither requests nor answers of it leave any more, and none
 * reaches what still runs of it in memory.
 *
 * Certificates are names only: a listener with TLS shows its certificate's text, which is the list
 * of names it is good for, and a client that asks for another name fails as it would really.
 *
 * @module
 */

import type { Clock } from '../clock.ts'
import type { Dns } from '../dns.ts'
import {
  type Headers,
  type HttpClient,
  HttpFailure,
  type HttpHandler,
  type IncomingAnswer,
  type Listen,
  type OutgoingAnswer,
  type OutgoingRequest,
} from '../http.ts'
import { detached, waiting } from '../wait-order.ts'
import { simulatedBody } from './simulated-body.ts'
import type { StoppableClock } from './simulated-clock.ts'
import type { SeededRandom } from './simulated-random.ts'

/** What the network does to requests and answers. Chances are from 0 to 1. */
export interface NetworkFaults {
  readonly delayMsMin: number
  /** Delays are spread so that most are near the minimum and few near the maximum. */
  readonly delayMsMax: number
  readonly requestLoss: number
  /** The request is worked on, its answer does not arrive. */
  readonly answerLoss: number
  /** The request arrives a second time, some time later. */
  readonly repetition: number
  /** Requests of which none arrives. */
  readonly isLost?: (request: OutgoingRequest) => boolean
}

export const calmNetwork: NetworkFaults = {
  delayMsMin: 1,
  delayMsMax: 20,
  requestLoss: 0,
  answerLoss: 0,
  repetition: 0,
}

/** What something that stands between two hosts makes of an exchange. */
export type Interference =
  /** The request does not arrive, and whoever sent it is told so. */
  | { readonly failure: HttpFailure }
  /** The request does not arrive; something else answers it. */
  | { readonly answer: IncomingAnswer }
  /** The request is worked on, and its answer is replaced. */
  | { readonly replace: (answer: IncomingAnswer) => IncomingAnswer | HttpFailure }

export interface Exchange {
  /** Addresses. */
  readonly from: string
  readonly to: string
  readonly request: OutgoingRequest
}

interface Host {
  readonly address: string
  readonly handlers: Map<
    number,
    {
      handler: HttpHandler
      names: readonly string[] | undefined
      takesConnections: () => boolean
    }
  >
  /** How often it was killed. */
  deaths: number
}

/** A request that waits for its answer. */
interface Pending {
  readonly from: string
  readonly request: OutgoingRequest
  readonly done: (answer: IncomingAnswer) => void
  readonly fail: (failure: HttpFailure) => void
}

const notAborted = new AbortController().signal

export class SimulatedNetwork {
  faults: NetworkFaults = calmNetwork
  /** Called for each request that is sent, for the trace. */
  onRequest: ((from: string, to: string, request: OutgoingRequest) => void) | undefined
  /** Called with each answer of a host, as it gave it. */
  onAnswer:
    | ((from: string, to: string, request: OutgoingRequest, answer: IncomingAnswer) => void)
    | undefined
  /** Asked about each request that arrives, and may come between. */
  interfere: ((exchange: Exchange) => Interference | undefined) | undefined
  readonly #hosts = new Map<string, Host>()
  readonly #addresses = new Map<string, string>()
  readonly #cuts = new Set<string>()
  readonly #random: SeededRandom
  /** For each link between two addresses, in one direction: what one does changes no other. */
  readonly #links = new Map<string, SeededRandom>()
  readonly #clock: Clock

  /** `clock` is the true time of the world. */
  constructor(clock: Clock, random: SeededRandom) {
    this.#clock = clock
    this.#random = random
  }

  /** Gives a name to an address, or takes it away. */
  name(name: string, address: string | undefined): void {
    if (address === undefined) this.#addresses.delete(name)
    else this.#addresses.set(name, address)
  }

  /** Cuts the way from one address to another, in this direction only. */
  cut(from: string, to: string): void {
    this.#cuts.add(`${from} ${to}`)
  }

  heal(from: string, to: string): void {
    this.#cuts.delete(`${from} ${to}`)
  }

  healAll(): void {
    this.#cuts.clear()
  }

  /** Takes a host's listeners away, as when its process is killed. */
  silence(address: string): void {
    const host = this.#hosts.get(address)
    if (host === undefined) return
    host.deaths += 1
    host.handlers.clear()
  }

  dns(): Dns {
    return {
      srv: async () => ({ records: [], ttlSeconds: 60 }),
      addresses: async (name) => {
        const address = this.#addresses.get(name)
        return { records: address === undefined ? [] : [address], ttlSeconds: 60 }
      },
    }
  }

  listen(address: string): Listen {
    const host = this.#hosts.get(address) ?? { address, handlers: new Map(), deaths: 0 }
    this.#hosts.set(address, host)
    return async (options, handler) => {
      const names = options.tls?.cert.split(',')
      if (host.handlers.has(options.port)) throw new Error(`port ${options.port} is in use`)
      const { takesConnections = () => true } = options
      host.handlers.set(options.port, { handler, names, takesConnections })
      return {
        host: address,
        port: options.port,
        replaceCertificate: () => {},
        close: async () => {
          host.handlers.delete(options.port)
        },
      }
    }
  }

  /** The client of the host at `address`; its own clock times it out and dies with it. */
  client(address: string, clock: StoppableClock): HttpClient {
    return {
      request: (request) => this.#request(address, clock, request),
      close: async () => {},
    }
  }

  #request(from: string, clock: StoppableClock, request: OutgoingRequest): Promise<IncomingAnswer> {
    waiting('another server')
    return new Promise((resolve, reject) => {
      if (clock.isStopped) return
      const timer = clock.after(request.timeoutMs, () =>
        fail(new HttpFailure('timeout', `no answer within ${request.timeoutMs} ms`)),
      )
      const settle = () => {
        timer.cancel()
        request.signal?.removeEventListener('abort', onAbort)
      }
      const fail = (failure: HttpFailure) => {
        settle()
        if (!clock.isStopped) reject(failure)
      }
      const onAbort = () => fail(new HttpFailure('aborted', 'the request was called off'))
      if (request.signal?.aborted) {
        onAbort()
        return
      }
      request.signal?.addEventListener('abort', onAbort)
      const done = (answer: IncomingAnswer) => {
        settle()
        if (!clock.isStopped) resolve(answer)
      }
      this.#send({ from, request, done, fail })
    })
  }

  #send(exchange: Pending): void {
    const { from, request, fail } = exchange
    const to = this.#addresses.get(request.hostname) ?? request.hostname
    const { tlsName = request.hostname } = request
    this.onRequest?.(from, to, request)
    if (this.#cuts.has(`${from} ${to}`) || this.faults.isLost?.(request)) return
    const random = this.#randomOf(from, to)
    if (random.happens(this.faults.requestLoss)) return
    const arrivals = random.happens(this.faults.repetition) ? 2 : 1
    for (let arrival = 0; arrival < arrivals; arrival += 1) {
      this.#clock.after(this.#delayMs(random), () => {
        if (this.#cuts.has(`${from} ${to}`)) return
        const interference = this.interfere?.({ from, to, request })
        if (interference !== undefined && !('replace' in interference)) {
          this.#answerInstead(exchange, interference, this.#delayMs(this.#randomOf(to, from)))
          return
        }
        const host = this.#hosts.get(to)
        const listener = host?.handlers.get(request.port)
        if (host === undefined || listener === undefined) {
          fail(new HttpFailure('connect', `nobody listens at ${to}:${request.port}`))
        } else if (!listener.takesConnections()) {
          fail(new HttpFailure('broken', 'the connection was reset'))
        } else if ((listener.names !== undefined) !== (request.protocol === 'https:')) {
          fail(new HttpFailure('tls', 'one side speaks TLS and the other does not'))
        } else if (listener.names && !listener.names.includes(tlsName)) {
          fail(new HttpFailure('tls', `the certificate is not for ${tlsName}`))
        } else {
          this.#deliver(exchange, host, listener.handler, interference?.replace)
        }
      })
    }
  }

  #answerInstead(
    { done, fail }: Pending,
    instead: Exclude<Interference, { readonly replace: unknown }>,
    delayMs: number,
  ): void {
    this.#clock.after(delayMs, () =>
      'failure' in instead ? fail(instead.failure) : done(instead.answer),
    )
  }

  #deliver(
    exchange: Pending,
    host: Host,
    handler: HttpHandler,
    replace: ((answer: IncomingAnswer) => IncomingAnswer | HttpFailure) | undefined,
  ): void {
    const { from, request, done, fail } = exchange
    const { address: to, deaths } = host
    // What the other server does, it does by itself.
    const answered = detached(() =>
      handler({
        method: request.method,
        target: request.target,
        headers: incomingHeaders(request),
        remoteAddress: from,
        encrypted: request.protocol === 'https:',
        startsConnection: true,
        ...simulatedBody(request.body),
        signal: notAborted,
      }),
    )
    const sendBack = async (answer: OutgoingAnswer) => {
      const body = await wholeBody(answer.body)
      if (host.deaths > deaths) return
      const whole = { status: answer.status, headers: lowerCased(answer.headers), body }
      this.onAnswer?.(to, from, request, whole)
      const random = this.#randomOf(to, from)
      if (random.happens(this.faults.answerLoss)) return
      this.#clock.after(this.#delayMs(random), () => {
        if (this.#cuts.has(`${to} ${from}`)) return
        if (body.length > request.answerBytesMax) {
          fail(new HttpFailure('too-large', `more than ${request.answerBytesMax} bytes`))
        } else {
          const arrived = replace?.(whole) ?? whole
          if (arrived instanceof HttpFailure) fail(arrived)
          else done(arrived)
        }
      })
    }
    answered.then(sendBack).catch((cause: unknown) => {
      if (host.deaths === deaths)
        fail(new HttpFailure('broken', 'the connection was reset', { cause }))
    })
  }

  #randomOf(from: string, to: string): SeededRandom {
    return this.#links.getOrInsertComputed(`${from} ${to}`, (link) => this.#random.fork(link))
  }

  #delayMs(random: SeededRandom): number {
    const { delayMsMin, delayMsMax } = this.faults
    return delayMsMin + (delayMsMax - delayMsMin) * random.fraction() ** 3
  }
}

function lowerCased(headers: Readonly<Record<string, string>>): Headers {
  const lowerCased: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) lowerCased[name.toLowerCase()] = value
  return lowerCased
}

function incomingHeaders(request: OutgoingRequest): Headers {
  return { ...lowerCased(request.headers ?? {}), host: request.hostHeader }
}

async function wholeBody(body: OutgoingAnswer['body']): Promise<Uint8Array> {
  if (body instanceof Uint8Array) return body
  const pieces: Uint8Array[] = []
  for await (const piece of body) pieces.push(piece)
  return new Uint8Array(Buffer.concat(pieces))
}
