/**
 * Runs one input of a target, and says what is wrong with how it went.
 *
 * @module
 */

import { cpuMsSince, isSlow, leastCpuMs, type Measure } from './slowness.ts'
import type { Aside, Target } from './target.ts'
import type { Watchdog } from './watchdog.ts'

/** What is wrong, if something is: the first line tells findings from each other. */
export type Finding = { readonly kind: string; readonly text: string } | undefined

const unmeasured: Aside = (work) => work()

export interface Judges {
  /** Where the engine's counters are on in this thread: says how slow an input is without them. */
  readonly uncounted?: Measure | undefined
  /** Notices what never ends. */
  readonly watchdog?: Watchdog | undefined
}

export function judge(
  target: Target,
  input: Uint8Array,
  { uncounted, watchdog }: Judges = {},
): Finding | Promise<Finding> {
  watchdog?.begin(target.name, input)
  const judged = judgeUnwatched(target, input, uncounted)
  if (judged instanceof Promise) return judged.finally(() => watchdog?.ended())
  watchdog?.ended()
  return judged
}

/** What takes long is run again to see whether it is slow. */
function judgeUnwatched(
  target: Target,
  input: Uint8Array,
  uncounted?: Measure,
): Finding | Promise<Finding> {
  const before = process.threadCpuUsage()
  const slownessSince = () =>
    isSlow(target, cpuMsSince(before)) ? slowness(target, input, uncounted) : undefined
  try {
    const running = target.run(input, unmeasured)
    if (running !== undefined) {
      return running.then(slownessSince, (error) => findingOf(target, error) ?? slownessSince())
    }
  } catch (error) {
    return findingOf(target, error) ?? slownessSince()
  }
  return slownessSince()
}

async function slowness(
  target: Target,
  input: Uint8Array,
  measure: Measure = leastCpuMs,
): Promise<Finding> {
  const ms = await measure(target, input)
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
