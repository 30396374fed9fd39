/**
 * Virtual time. Nothing waits: when all that can run has run, the next timer is due and time jumps
 * to it.
 *
 * One `VirtualTime` drives a whole world. Each server has a `Clock` of its own on it, which may be
 * wrong by some milliseconds and which dies with the server: after `stop`, none of its timers fires
 * and nothing that sleeps on it wakes, as in a process that was killed.
 *
 * Between two timers the world gives the event loop one turn, in which all promises that can settle
 * do so. Code under simulation therefore must not wait for anything real.
 *
 * @module
 */

import type { Clock, Timer } from '../clock.ts'
import { sleepOn } from '../real-clock.ts'

interface DueTimer {
  readonly dueMs: number
  /** Timers due at the same time fire in the order in which they were set. */
  readonly order: number
  act: (() => void) | undefined
}

export interface StoppableClock extends Clock {
  readonly isStopped: boolean
  /** How many timers were set that are neither over nor called off. */
  readonly timers: number
  stop(): void
}

export class VirtualTime {
  /** Milliseconds since the world began. */
  #nowMs = 0
  #order = 0
  readonly #heap: DueTimer[] = []
  readonly #epochMs: number

  /** `epochMs`: what the clocks show when the world begins. */
  constructor(epochMs = 1_700_000_000_000) {
    this.#epochMs = epochMs
  }

  get elapsedMs(): number {
    return this.#nowMs
  }

  /** A clock that shows `skewMs` more than the true time: always, or as it is at the moment. */
  clock(skewMs: number | (() => number) = 0): StoppableClock {
    let stopped = false
    const skew = typeof skewMs === 'number' ? () => skewMs : skewMs
    let timers = 0
    const after = (delayMs: number, act: () => void) => {
      timers += 1
      return this.#after(
        delayMs,
        () => {
          if (!stopped) act()
        },
        () => {
          timers -= 1
        },
      )
    }
    return {
      now: () => Math.floor(this.#epochMs + this.#nowMs + skew()),
      monotonicMs: () => this.#nowMs,
      after,
      sleep: (delayMs, signal) => sleepOn(after, delayMs, signal),
      yield: () => sleepOn(after, 0, undefined),
      get timers() {
        return timers
      },
      get isStopped() {
        return stopped
      },
      stop: () => {
        stopped = true
      },
    }
  }

  /** Runs the world for `durationMs`. */
  async run(durationMs: number): Promise<void> {
    const endMs = this.#nowMs + durationMs
    await turn()
    for (
      let next = this.#heap[0];
      next !== undefined && next.dueMs <= endMs;
      next = this.#heap[0]
    ) {
      await this.#fire(next)
    }
    this.#nowMs = endMs
  }

  /** Runs until `done` holds after some timer, at most for `limitMs`. Tells whether it came true. */
  async runUntil(done: () => boolean, limitMs: number): Promise<boolean> {
    const endMs = this.#nowMs + limitMs
    await turn()
    while (!done()) {
      const next = this.#heap[0]
      if (next === undefined || next.dueMs > endMs) return false
      await this.#fire(next)
    }
    return true
  }

  /** Awaits something that needs virtual time to pass. Throws if `limitMs` pass without an outcome. */
  async await<T>(promise: Promise<T>, limitMs = 3_600_000): Promise<T> {
    let settled = false
    const mark = () => {
      settled = true
    }
    promise.then(mark, mark)
    if (!(await this.runUntil(() => settled, limitMs))) {
      throw new Error(`no outcome after ${limitMs} ms of virtual time`)
    }
    return await promise
  }

  async #fire(timer: DueTimer): Promise<void> {
    this.#pop()
    const { act } = timer
    if (act === undefined) return
    timer.act = undefined
    this.#nowMs = Math.max(this.#nowMs, timer.dueMs)
    act()
    await turn()
  }

  /** `onOver` is called when it has fired, or is called off. */
  #after(delayMs: number, act: () => void, onOver: () => void): Timer {
    this.#order += 1
    const timer: DueTimer = {
      dueMs: this.#nowMs + Math.max(0, delayMs),
      order: this.#order,
      act: () => {
        onOver()
        act()
      },
    }
    this.#push(timer)
    return {
      cancel: () => {
        if (timer.act !== undefined) onOver()
        timer.act = undefined
      },
    }
  }

  #push(timer: DueTimer): void {
    const heap = this.#heap
    let index = heap.push(timer) - 1
    while (index > 0) {
      const parentIndex = (index - 1) >> 1
      const parent = heap[parentIndex]
      if (parent === undefined || !isBefore(timer, parent)) break
      heap[index] = parent
      index = parentIndex
    }
    heap[index] = timer
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return
    let index = 0
    for (;;) {
      const left = 2 * index + 1
      const right = left + 1
      const [leftTimer, rightTimer] = [heap[left], heap[right]]
      if (leftTimer === undefined) break
      const useRight = rightTimer !== undefined && isBefore(rightTimer, leftTimer)
      const smaller = useRight ? rightTimer : leftTimer
      if (!isBefore(smaller, last)) break
      heap[index] = smaller
      index = useRight ? right : left
    }
    heap[index] = last
  }
}

function isBefore(a: DueTimer, b: DueTimer): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.order < b.order)
}

/** One turn of the event loop: every promise that can settle has settled after it. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
