/**
 * What Linux tells of this machine and of a process on it: memory, work done, and how much of the
 * machine others use meanwhile, without which a figure says nothing.
 *
 * @module
 */

import { readFileSync } from 'node:fs'
import { availableParallelism, cpus, release, totalmem } from 'node:os'

/** The kernel counts time in these, on every system in use. */
const tickMs = 10

export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryGiB: number
  readonly kernel: string
  readonly node: string
}

export function thisMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
  }
}

/** Memory of a process in MiB: what it has now, and the most it ever had. */
export function memoryOf(pid: number): { readonly nowMiB: number; readonly peakMiB: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const mebibytes = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0) / 1024
  return { nowMiB: mebibytes('VmRSS'), peakMiB: mebibytes('VmHWM') }
}

/** The time all threads of a process have worked. */
export function workedMs(pid: number): number {
  // The name of the program, in brackets, may hold spaces.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) * tickMs
}

/** The time all processors have worked, for whomever. */
function allWorkedMs(): number {
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = (
    /^cpu +(.*)$/m.exec(readFileSync('/proc/stat', 'utf8'))?.[1] ?? ''
  )
    .split(' ')
    .map(Number)
  return (user + nice + system + irq + softirq) * tickMs
}

export interface Work {
  readonly elapsedMs: number
  /** What the observed process has worked. */
  readonly workedMs: number
  /** How many processors were busy with what is neither that process nor this one. */
  readonly othersBusy: number
}

/** Does something and observes a process meanwhile. */
export async function observe(pid: number, run: () => Promise<void>): Promise<Work> {
  const before = { all: allWorkedMs(), theirs: workedMs(pid), ours: workedMs(process.pid) }
  const start = performance.now()
  await run()
  const elapsedMs = performance.now() - start
  const theirs = workedMs(pid) - before.theirs
  const ours = workedMs(process.pid) - before.ours
  const others = allWorkedMs() - before.all - theirs - ours
  return { elapsedMs, workedMs: theirs, othersBusy: Math.max(0, others / elapsedMs) }
}
