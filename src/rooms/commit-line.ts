/**
 * Where rooms wait with what other servers sent, until it is their turn to commit it.
 *
 * Commits are made in the order in which they are begun, and nothing is told to clients before all of
 * those are there. So what waits for the disk has a limit, of all rooms together: what comes after it,
 * of our own users and of other servers, waits for so much, and not for all that a server can bring of
 * many rooms. Those of several servers have their turns one after the other.
 *
 * @module
 */

import { Lines } from '#io/lines.ts'
import { waiting } from '#io/wait-order.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'

/** The kind of queue that this is, as in `wait-order.ts`. */
export const lineOfCommits = 'line of commits'

/** When so many events are being committed, others wait. With the last to come in it may be more. */
const eventsMax = 200

export interface Place {
  /** Resolves when it is one's turn. Whoever had it must leave. */
  readonly turn: Promise<void>
  /** One's turn is now: somebody waits who is not to wait. */
  hurry(): void
  leave(): void
}

interface Waiting {
  readonly enter: () => void
  isIn: boolean
}

export class CommitLine {
  readonly #lines = new Lines<ServerName, Waiting>()
  /** How many events are being committed. */
  #events = 0

  /** Takes a place for so many events that a server sent. */
  stand(server: ServerName, events: number): Place {
    waiting(lineOfCommits)
    const { promise: turn, resolve } = Promise.withResolvers<void>()
    const one: Waiting = {
      isIn: false,
      enter: () => {
        if (one.isIn) return
        one.isIn = true
        this.#events += events
        resolve()
      },
    }
    this.#lines.push(server, one)
    this.#letIn()
    return {
      turn,
      hurry: one.enter,
      leave: () => {
        this.#events -= events
        this.#letIn()
      },
    }
  }

  #letIn(): void {
    while (this.#events < eventsMax) {
      const next = this.#lines.next()
      if (next === undefined) return
      next.enter()
    }
  }
}
