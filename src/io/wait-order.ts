/**
 * That nobody waits in a circle. Whoever works in a queue and waits for another one makes those behind
 * them wait for it, too: if somebody in that one waits for the first, nobody ever goes on.
 *
 * Queues of one kind are one here, so that an order is found to be wrong when two parts of the program
 * contradict each other, even if they never meet at the same time. Nobody who works in a queue waits for
 * another of the same kind.
 *
 * Only tests watch; elsewhere it costs a comparison.
 *
 * @module
 */

import { AsyncLocalStorage } from 'node:async_hooks'

/** A queue in which somebody works, and those in which they worked when they came to it. */
interface Held {
  readonly kind: string
  readonly below: Held | undefined
  isOver: boolean
}

export interface WaitNeeds {
  readonly onProblem: (problem: string) => void
  /** What is never waited for by who works in which kind of queue. */
  readonly never: Readonly<Record<string, readonly string[]>>
}

export class WaitOrder {
  readonly #held = new AsyncLocalStorage<Held | undefined>()
  /** By kind of queue: what somebody who works there waited for, and where that was. */
  readonly #waits = new Map<string, Map<string, string>>()
  readonly #needs: WaitNeeds

  constructor(needs: WaitNeeds) {
    this.#needs = needs
  }

  /** What is waited for by who works in a queue, as `a > b`. */
  get edges(): string[] {
    return [...this.#waits].flatMap(([kind, to]) => [...to.keys()].map((one) => `${kind} > ${one}`))
  }

  async holding<T>(kind: string, work: () => Promise<T>): Promise<T> {
    const held: Held = { kind, below: this.#held.getStore(), isOver: false }
    try {
      return await this.#held.run(held, work)
    } finally {
      held.isOver = true
    }
  }

  waiting(kind: string): void {
    for (let held = this.#held.getStore(); held !== undefined; held = held.below) {
      if (!held.isOver) this.#add(held.kind, kind)
    }
  }

  detached<T>(work: () => T): T {
    // Who holds nothing, as most who begin something, need not be given a context without it.
    return this.#held.getStore() === undefined ? work() : this.#held.run(undefined, work)
  }

  #add(from: string, to: string): void {
    const known = this.#waits.getOrInsertComputed(from, () => new Map())
    if (known.has(to)) return
    const where = new Error('is waited for').stack ?? ''
    known.set(to, where)
    if (this.#needs.never[from]?.includes(to)) {
      this.#needs.onProblem(`Who works in ${from} must not wait for ${to}: ${where}`)
    }
    const back = this.#way(to, from)
    if (back === undefined) return
    const steps = [[from, to] as const, ...back]
    const told = steps.map(
      ([a, b]) => `in ${a}, ${b} ${this.#waits.get(a)?.get(b) ?? 'is the same'}`,
    )
    this.#needs.onProblem(`Queues wait for each other:\n${told.join('\n')}`)
  }

  /** How one kind leads to another, if it does. */
  #way(from: string, to: string): (readonly [string, string])[] | undefined {
    const ways = new Map<string, (readonly [string, string])[]>([[from, []]])
    for (const [kind, way] of ways) {
      if (kind === to) return way
      for (const next of this.#waits.get(kind)?.keys() ?? []) {
        if (!ways.has(next)) ways.set(next, [...way, [kind, next]])
      }
    }
    return undefined
  }
}

let watching: WaitOrder | undefined

/** Watches from now on, in place of who watched before. */
export function watchWaits(needs: WaitNeeds): WaitOrder {
  watching = new WaitOrder(needs)
  return watching
}

/** Works in a queue of this kind: others wait until it is over. */
export async function holding<T>(kind: string, work: () => Promise<T>): Promise<T> {
  return await (watching === undefined ? work() : watching.holding(kind, work))
}

/** Whoever calls this is about to wait for a queue of this kind. */
export function waiting(kind: string): void {
  watching?.waiting(kind)
}

/** Does something for which nobody here waits, such as what was only begun here. */
export function detached<T>(work: () => T): T {
  return watching === undefined ? work() : watching.detached(work)
}
