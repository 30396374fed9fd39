/**
 * A plug in front of a server's port that can be pulled: TCP connections pass, or are cut.
 *
 * @module
 */

import { connect, createServer, type Server, type Socket } from 'node:net'

export class Plug {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #pulled = false

  private constructor(server: Server) {
    this.#server = server
  }

  /** Passes what reaches `host:port` on to `host:innerPort`. */
  static async between(host: string, { port, innerPort }: { port: number; innerPort: number }) {
    const server = createServer()
    const plug = new Plug(server)
    server.on('connection', (outer) => plug.#join(outer, connect(innerPort, host)))
    await new Promise<void>((resolve) => server.listen(port, host, resolve))
    return plug
  }

  #join(outer: Socket, inner: Socket): void {
    if (this.#pulled) {
      outer.destroy()
      inner.destroy()
      return
    }
    for (const [from, to] of [
      [outer, inner],
      [inner, outer],
    ] as const) {
      this.#sockets.add(from)
      from.on('error', () => to.destroy())
      from.on('close', () => {
        this.#sockets.delete(from)
        to.destroy()
      })
      from.pipe(to)
    }
  }

  /** Cuts all connections and refuses further ones. */
  pull(): void {
    this.#pulled = true
    for (const socket of this.#sockets) socket.destroy()
  }

  putBack(): void {
    this.#pulled = false
  }

  close(): void {
    this.pull()
    this.#server.close()
  }
}
