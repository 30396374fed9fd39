/**
 * How long an input keeps the thread. The engine's counters make all code slower, some of it by far, and
 * the machine may be busy with others' work: so what counts is CPU time, without the counters, of the
 * quickest of some runs, and without what a target does only to compare.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { type Aside, cpuMsMaxDefault, type Target } from './target.ts'

/** Says how much of the thread an input takes, in ms of CPU time. */
export type Measure = (target: Target, input: Uint8Array) => Promise<number>

/** How often an input is run before it is slow. The first run of code takes longer than others. */
const runsMax = 6

export function isSlow({ cpuMsMax = cpuMsMaxDefault }: Target, ms: number): boolean {
  return ms > cpuMsMax
}

/** The least of some runs, in this thread as it is; one that is not slow is enough. */
export const leastCpuMs: Measure = async (target, input) => {
  let least = Number.POSITIVE_INFINITY
  for (let n = 0; n < runsMax && isSlow(target, least); n++) {
    const watch = new Stopwatch()
    try {
      await target.run(input, watch.aside)
    } catch {}
    least = Math.min(least, watch.ms())
  }
  return least
}

class Stopwatch {
  readonly #began = process.threadCpuUsage()
  #asideMs = 0

  readonly aside: Aside = (work) => {
    const before = process.threadCpuUsage()
    try {
      return work()
    } finally {
      this.#asideMs += cpuMsSince(before)
    }
  }

  ms(): number {
    return cpuMsSince(this.#began) - this.#asideMs
  }
}

/** How much of this thread was used since then. */
export function cpuMsSince(before: NodeJS.CpuUsage): number {
  const { user, system } = process.threadCpuUsage(before)
  return (user + system) / 1000
}

/** What the thread is started with: a module that exports `targets`. */
export interface UncountedStart {
  readonly module: string
}

export interface UncountedQuestion {
  readonly target: string
  readonly input: Uint8Array
}

/**
 * Measures in a thread of its own, which has an engine of its own, without counters. It is started when it is
 * first asked, and has targets of its own.
 */
export class UncountedThread {
  readonly #module: string
  #worker: Worker | undefined

  constructor(module: string) {
    this.#module = module
  }

  readonly leastCpuMs: Measure = async ({ name: target }, input) => {
    const start: UncountedStart = { module: this.#module }
    this.#worker ??= new Worker(new URL('./slowness-worker.ts', import.meta.url), {
      workerData: start,
    })
    const worker = this.#worker
    const question: UncountedQuestion = { target, input }
    const answered = once(worker, 'message')
    worker.postMessage(question)
    const [ms]: number[] = await answered
    assert(ms !== undefined)
    return ms
  }

  async end(): Promise<void> {
    await this.#worker?.terminate()
  }
}
