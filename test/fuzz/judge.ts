/**
 * Runs one input of a target, and says what is wrong with how it went.
 *
 * @module
 */

import { cpuMsMaxDefault, type Target } from './target.ts'

/** What is wrong, if something is: the first line tells findings from each other. */
export type Finding = { readonly kind: string; readonly text: string } | undefined

/** How often what took too long is run again before it counts. */
const repeats = 4

/**
 * The machine may be busy with others' work, and the first run of code is slow: what counts is how much
 * of the thread the quickest of some runs used.
 */
export function judge(target: Target, input: Uint8Array): Finding | Promise<Finding> {
  const started = performance.now()
  try {
    const running = target.run(input)
    if (running !== undefined) return judgeLater(target, input, { running, started })
  } catch (error) {
    return findingOf(target, error)
  }
  if (!isSlow(target, performance.now() - started)) return undefined
  let least = Number.POSITIVE_INFINITY
  for (let n = 0; n < repeats; n++) {
    const before = process.threadCpuUsage()
    try {
      void target.run(input)
    } catch {}
    least = Math.min(least, cpuMsSince(before))
  }
  return slowness(target, least)
}

async function judgeLater(
  target: Target,
  input: Uint8Array,
  { running, started }: { running: Promise<void>; started: number },
): Promise<Finding> {
  try {
    await running
  } catch (error) {
    const finding = findingOf(target, error)
    if (finding !== undefined) return finding
  }
  if (!isSlow(target, performance.now() - started)) return undefined
  let least = Number.POSITIVE_INFINITY
  for (let n = 0; n < repeats; n++) {
    const before = process.threadCpuUsage()
    try {
      await target.run(input)
    } catch {}
    least = Math.min(least, cpuMsSince(before))
  }
  return slowness(target, least)
}

function isSlow({ cpuMsMax = cpuMsMaxDefault }: Target, ms: number): boolean {
  return ms > cpuMsMax
}

function cpuMsSince(before: NodeJS.CpuUsage): number {
  const { user, system } = process.threadCpuUsage(before)
  return (user + system) / 1000
}

function slowness(target: Target, ms: number): Finding {
  if (!isSlow(target, ms)) return undefined
  return { kind: 'slow', text: `it takes ${ms.toFixed(0)} ms of the thread` }
}

function findingOf({ errors = [] }: Target, error: unknown): Finding {
  const {
    name,
    message,
    stack = '',
  } = error instanceof Error ? error : { name: 'something', message: String(error) }
  if (errors.includes(name)) return undefined
  const place = /\((?:file:\/\/)?[^()]*?((?:src|test)\/[^()]+?):(\d+)/.exec(stack)
  const kind = `${name} at ${place?.[1] ?? 'no place'}:${place?.[2] ?? ''}`
  return { kind, text: `${name}: ${message}\n${stack.split('\n').slice(0, 12).join('\n')}` }
}
