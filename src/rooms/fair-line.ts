/**
 * Lines for what there may be so much of at a time, of all rooms together: what waits for the disk, and
 * what is in memory. Those whom several servers keep busy have their turns one after the other, so that
 * nobody waits for all that one server can bring of many rooms.
 *
 * @module
 */

import { Lines } from '#io/lines.ts'
import { holding, waiting } from '#io/wait-order.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'

interface Waiting {
  readonly enter: () => void
  isIn: boolean
}

export interface InLine {
  readonly server: ServerName
  readonly size: number
  /** Is given what makes it one's turn at once, for when somebody waits who is not to wait. */
  readonly hurried?: (hurry: (() => void) | undefined) => void
}

export class FairLine {
  readonly #kind: string
  readonly #sizeMax: number
  readonly #lines = new Lines<ServerName, Waiting>()
  /** How much is under way. */
  #size = 0

  /**
   * `kind` says what is waited for: see `wait-order.ts`. While `sizeMax` is under way others wait; with the
   * last to come in it may be more.
   */
  constructor(kind: string, sizeMax: number) {
    this.#kind = kind
    this.#sizeMax = sizeMax
  }

  /** Does something of such a size for a server when it is its turn. */
  async run<T>({ server, size, hurried }: InLine, work: () => Promise<T>): Promise<T> {
    waiting(this.#kind)
    await new Promise<void>((resolve) => {
      const one: Waiting = {
        isIn: false,
        enter: () => {
          if (one.isIn) return
          one.isIn = true
          this.#size += size
          resolve()
        },
      }
      this.#lines.push(server, one)
      hurried?.(one.enter)
      this.#letIn()
    })
    hurried?.(undefined)
    try {
      return await holding(this.#kind, work)
    } finally {
      this.#size -= size
      this.#letIn()
    }
  }

  #letIn(): void {
    while (this.#size < this.#sizeMax) {
      const next = this.#lines.next()
      if (next === undefined) return
      next.enter()
    }
  }
}
