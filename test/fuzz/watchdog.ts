/**
 * Watches from a thread apart whether an input ever ends. One that keeps the thread for ever, or waits for what
 * never comes, would otherwise hang the run, and be lost: it is kept and told, and the process ends as failed.
 *
 * @module
 */

import { Worker } from 'node:worker_threads'
import { RunningInput } from './running-input.ts'

/**
 * How long an input may run, in ms of wall clock. Inputs take milliseconds, what is slow is run up to eight times,
 * and others may want the machine too: what has not ended after a minute is taken for what never will.
 */
export const inputMsMax = 60_000

/** What the thread is started with. */
export interface WatchdogStart {
  readonly memory: SharedArrayBuffer
  readonly seed: number
  readonly msMax: number
  /** Where the input is kept already; if it is not said, it is kept as what is found is. */
  readonly file?: string | undefined
}

export class Watchdog {
  readonly #running = new RunningInput()
  readonly #worker: Worker

  /** An input that runs for `msMax` is noticed before twice that time. */
  constructor({ msMax = inputMsMax, ...told }: Partial<WatchdogStart> & { seed: number }) {
    const start: WatchdogStart = { ...told, msMax, memory: this.#running.memory }
    // It keeps the process alive, as a promise that waits for nothing does not.
    this.#worker = new Worker(new URL('./watchdog-worker.ts', import.meta.url), {
      workerData: start,
    })
  }

  begin(target: string, input: Uint8Array): void {
    this.#running.begin(target, input)
  }

  ended(): void {
    this.#running.ended()
  }

  async end(): Promise<void> {
    await this.#worker.terminate()
  }
}
