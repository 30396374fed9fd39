/**
 * Limits of what it costs to be connected to.
 *
 * - One address has so many connections and no more.
 * - A TLS handshake takes as long as several requests. So one begins in each turn of the event loop, of
 *   different addresses in turn, and of one address only some are under way at the same time.
 *
 * @module
 */

import type { Server as TlsServer } from 'node:https'
import type { Server, Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { Limiter } from './limiter.ts'
import { networkOf } from './network-of.ts'
import { OneATurn } from './one-a-turn.ts'
import { type Proxies, plainAddress } from './proxies.ts'
import { realClock } from './real-clock.ts'

/** From one address; a proxy speaks for many and is not counted. */
const connectionsPerAddressMax = 500
/** How many handshakes of one address are under way at the same time. */
const handshakesPerAddressMax = 4

/** Begins with a connection when it may: not at all if it is not taken. */
export function beginLater(
  server: Server,
  takes: (socket: Socket) => boolean,
  whenMayBegin: (socket: Socket, begin: () => void) => void,
): void {
  const begins = server.listeners('connection')
  server.removeAllListeners('connection')
  server.on('connection', (socket: Socket) => {
    if (!takes(socket)) {
      socket.destroy()
      return
    }
    whenMayBegin(socket, () => {
      for (const begin of begins) begin.call(server, socket)
    })
  })
}

/** How many connections each address has. */
export class ConnectionCounts {
  readonly #proxies: Proxies
  readonly #counts = new Map<string, number>()

  constructor(proxies: Proxies) {
    this.#proxies = proxies
  }

  /** Counts a connection, unless its address has too many. */
  takes(socket: Socket): boolean {
    const address = plainAddress(socket.remoteAddress ?? '')
    const network = networkOf(address)
    const count = this.#counts.get(network) ?? 0
    if (count >= connectionsPerAddressMax && !this.#proxies.has(address)) return false
    this.#counts.set(network, count + 1)
    socket.once('close', () => {
      const left = (this.#counts.get(network) ?? 1) - 1
      if (left === 0) this.#counts.delete(network)
      else this.#counts.set(network, left)
    })
    return true
  }
}

/** The TLS handshakes of a server. */
export class Handshakes {
  readonly #proxies: Proxies
  readonly #beginning = new OneATurn<string>(realClock)
  readonly #underWay = new Map<string, Limiter>()
  /** By address and port of the peer: called when the handshake is over. */
  readonly #over = new Map<string, () => void>()
  /** Those whose handshake is not over. */
  readonly #sockets = new Set<Socket>()

  constructor(server: TlsServer, proxies: Proxies) {
    this.#proxies = proxies
    server.on('secureConnection', (socket: TLSSocket) => this.#over.get(peerOf(socket))?.())
  }

  /** Hangs up on all whose handshake is not over. */
  end(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  readonly begin = (socket: Socket, begin: () => void): void => {
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
    const address = plainAddress(socket.remoteAddress ?? '')
    const network = networkOf(address)
    const shake = async () => {
      await this.#beginning.begin(network)
      if (!socket.destroyed) await this.#shake(socket, begin)
    }
    if (this.#proxies.has(address)) {
      void shake()
      return
    }
    const limiter = this.#underWay.getOrInsertComputed(
      network,
      () => new Limiter(handshakesPerAddressMax, 'handshakes of an address'),
    )
    void limiter.run(shake).then(() => {
      if (limiter.isIdle) this.#underWay.delete(network)
    })
  }

  async #shake(socket: Socket, begin: () => void): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const peer = peerOf(socket)
    this.#over.set(peer, resolve)
    socket.once('close', resolve)
    begin()
    await promise
    this.#over.delete(peer)
    this.#sockets.delete(socket)
  }
}

function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`
}
