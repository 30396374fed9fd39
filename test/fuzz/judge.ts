/**
 * Runs one input of a target, and says what is wrong with how it went.
 *
 * @module
 */

import { leastCpuMs, type Measure } from './slowness.ts'
import { type Aside, cpuMsMaxDefault, type Target } from './target.ts'

/** What is wrong, if something is: the first line tells findings from each other. */
export type Finding = { readonly kind: string; readonly text: string } | undefined

const unmeasured: Aside = (work) => work()

/**
 * What seems to take too long is measured. Where the engine's counters are on in this thread, `uncounted`
 * has the last word on that.
 */
export function judge(
  target: Target,
  input: Uint8Array,
  uncounted?: Measure,
): Finding | Promise<Finding> {
  const started = performance.now()
  const slownessSince = () =>
    isSlow(target, performance.now() - started) ? slowness(target, input, uncounted) : undefined
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

/** What is quick with counters is quick without them. */
async function slowness(
  target: Target,
  input: Uint8Array,
  uncounted: Measure | undefined,
): Promise<Finding> {
  let ms = await leastCpuMs(target, input)
  if (isSlow(target, ms) && uncounted !== undefined) ms = await uncounted(target, input)
  if (!isSlow(target, ms)) return undefined
  return { kind: 'slow', text: `it takes ${ms.toFixed(0)} ms of the thread` }
}

function isSlow({ cpuMsMax = cpuMsMaxDefault }: Target, ms: number): boolean {
  return ms > cpuMsMax
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
