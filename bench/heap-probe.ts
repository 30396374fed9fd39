/**
 * What a Hansa holds in memory: its heap is cleaned up first, so that nothing counts that nobody needs
 * any more. It is asked by Node's inspector, of a server that was started with it.
 *
 * @module
 */

import { once } from 'node:events'

/** The flag of Node that lets a server be asked, on any free port. */
export const heapProbeFlag = (host: string) => `--inspect=${host}:0`

/** Where a server listens that was started with the flag, as its log says it. */
const listening = /Debugger listening on (ws:\S+)/

export class HeapProbe {
  readonly #socket: WebSocket
  #questions = 0

  private constructor(socket: WebSocket) {
    this.#socket = socket
  }

  /** `log`: what the server has logged since its start. */
  static async open(log: string): Promise<HeapProbe> {
    const url = listening.exec(log)?.[1]
    if (url === undefined) throw new Error('the server was started without an inspector')
    const socket = new WebSocket(url)
    await once(socket, 'open')
    return new HeapProbe(socket)
  }

  /** The bytes that are held by objects, and by buffers outside of the heap. */
  async heldBytes(): Promise<number> {
    // What the first round finds to be finalised goes in the second.
    for (let rounds = 0; rounds < 2; rounds += 1) await this.#ask('HeapProfiler.collectGarbage')
    const usage = await this.#ask('Runtime.getHeapUsage')
    return usage.usedSize + usage.backingStorageSize
  }

  close(): void {
    this.#socket.close()
  }

  async #ask(method: string): Promise<Record<'usedSize' | 'backingStorageSize', number>> {
    this.#questions += 1
    const id = this.#questions
    this.#socket.send(JSON.stringify({ id, method }))
    for (;;) {
      const [event] = await once(this.#socket, 'message')
      const answer = JSON.parse(event.data)
      if (answer.id === id) return answer.result
    }
  }
}
