/**
 * The front of the queue that a room's part of the table of staged PDUs is: those that are in memory to
 * be tried next, where in the table the rest begins, and who waits with more.
 *
 * @module
 */

import type { Clock } from '#io/clock.ts'
import type { Staged } from './receive-staged.ts'
import type { StagedMemory } from './staged-memory.ts'

/** How many PDUs of a room are in memory. */
export const heldMax = 500
/** For how long those who bring more wait while many are being worked off. */
const crowdMsMax = 5000

export class StagedFront {
  readonly #clock: Clock
  readonly #memory: StagedMemory
  /** Those to be tried next. */
  readonly #fresh: Staged[] = []
  #freshBytes = 0
  /** Where in the table those begin that are to be tried next and are not in memory. */
  #readAfter: number | undefined
  /** Those who wait with more PDUs. */
  #crowd: (() => void)[] = []

  constructor(clock: Clock, memory: StagedMemory) {
    this.#clock = clock
    this.#memory = memory
  }

  /** Whether nothing is left to be tried, neither here nor in the table. */
  get isEmpty(): boolean {
    return this.#fresh.length === 0 && this.#readAfter === undefined
  }

  /** Whether much is left. */
  get isFull(): boolean {
    return this.#fresh.length >= heldMax / 2 || this.#readAfter !== undefined
  }

  /** Holds these to be tried next, if so much may be held. */
  hold(items: readonly Staged[]): boolean {
    const bytes = bytesOf(items)
    if (this.#fresh.length + items.length > heldMax) return false
    if (!this.#memory.hold(bytes, this.#freshBytes)) return false
    this.#freshBytes += bytes
    this.#fresh.push(...items)
    return true
  }

  /** The first of those that are held, which are not held any more. */
  letGo(count: number): Staged[] {
    const items = this.#fresh.splice(0, count)
    const bytes = bytesOf(items)
    this.#freshBytes -= bytes
    this.#memory.letGo(bytes)
    return items
  }

  /** Those of the table are to be tried from this one on. */
  readFrom(stagedNid: number): void {
    this.#readAfter = Math.min(this.#readAfter ?? Number.POSITIVE_INFINITY, stagedNid - 1)
  }

  get readAfter(): number | undefined {
    return this.#readAfter
  }

  /** Nothing of the table is to be tried that is not here, until it is said again. */
  readNoMore(): void {
    this.#readAfter = undefined
  }

  async lessCrowded(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#crowd.push(resolve)
    const timer = this.#clock.after(crowdMsMax, resolve)
    await promise
    timer.cancel()
  }

  /** Lets those in who wait, if there is room for them here. */
  letSomeIn(): void {
    if (this.#fresh.length < heldMax / 2) this.letCrowdIn()
  }

  letCrowdIn(): void {
    for (const enter of this.#crowd.splice(0)) enter()
  }
}

function bytesOf(items: readonly Staged[]): number {
  return items.reduce((sum, { pdu }) => sum + pdu.bytes.length, 0)
}
