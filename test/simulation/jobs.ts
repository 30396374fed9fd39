/**
 * Runs scenarios in several processes, and gives their outcomes in the order of the scenarios.
 *
 * A process that dies fails the scenario it was at, and another takes its place.
 *
 * @module
 */

import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import type { RunOutcome } from './run.ts'
import type { Task } from './run-task.ts'

export interface Done {
  readonly task: Task
  readonly outcome: RunOutcome
}

/** `tasks` are taken when a process is free for them. */
export async function* runInJobs(tasks: Iterable<Task>, count: number): AsyncGenerator<Done> {
  const waiting = tasks[Symbol.iterator]()
  const underWay: Promise<Done>[] = []
  const begin = (job: Job) => {
    const next = waiting.next()
    if (next.done) return job.end()
    const task = next.value
    underWay.push(
      job.run(task).then((outcome) => {
        begin(job)
        return { task, outcome }
      }),
    )
  }
  for (let index = 0; index < count; index += 1) begin(new Job())
  for (let first = underWay.shift(); first !== undefined; first = underWay.shift())
    yield await first
}

/** A process for one scenario after the other. */
class Job {
  #child: ChildProcess | undefined

  async run(task: Task): Promise<RunOutcome> {
    this.#child ??= fork(new URL('job.ts', import.meta.url), { serialization: 'advanced' })
    const child = this.#child
    const over = new AbortController()
    const { signal } = over
    child.send(task)
    const answer = once(child, 'message', { signal }).then(([outcome]) => outcome as RunOutcome)
    const death = once(child, 'exit', { signal }).then(([code, signalName]) =>
      this.#died(task, String(code ?? signalName)),
    )
    try {
      return await Promise.race([answer, death])
    } finally {
      over.abort()
      await Promise.allSettled([answer, death])
    }
  }

  end(): void {
    this.#child?.disconnect()
  }

  #died({ scenario }: Task, how: string): RunOutcome {
    this.#child = undefined
    const problems = [`the process ended: ${how}`]
    return { seed: scenario.seed, trace: '', problems, counters: new Map(), met: [] }
  }
}
