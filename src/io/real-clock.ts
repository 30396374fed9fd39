/**
 * The clock of a real server.
 *
 * @module
 */

import { performance } from 'node:perf_hooks'
import type { Clock, Timer } from './clock.ts'

/** The longest delay that `setTimeout` keeps to; beyond it, it would fire at once. */
const delayMsMax = 2 ** 31 - 1

function after(delayMs: number, act: () => void): Timer {
  const timeout = setTimeout(act, Math.min(Math.max(0, delayMs), delayMsMax))
  timeout.unref()
  return { cancel: () => clearTimeout(timeout) }
}

/** Who waits for others to run, in order. */
const yielding: (() => void)[] = []

/**
 * Lets one of those who wait go on. One in each turn of the event loop: however many pieces of long work
 * there are, whoever comes with a short one waits for a slice of one of them, not of each.
 */
function goOn(): void {
  const next = yielding.shift()
  if (yielding.length > 0) setImmediate(goOn)
  next?.()
}

function yieldThread(): Promise<void> {
  return new Promise((resolve) => {
    if (yielding.push(resolve) === 1) setImmediate(goOn)
  })
}

export const realClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  after,
  sleep: (delayMs, signal) => sleepOn(after, delayMs, signal),
  yield: yieldThread,
}

/** `sleep`, for any clock that has `after`. */
export function sleepOn(
  after: Clock['after'],
  delayMs: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason)
      return
    }
    const onAbort = () => {
      timer.cancel()
      reject(signal?.reason)
    }
    const timer = after(delayMs, () => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    })
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}
