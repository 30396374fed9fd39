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

export const realClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  after,
  sleep: (delayMs, signal) => sleepOn(after, delayMs, signal),
  yield: () => new Promise((resolve) => setImmediate(resolve)),
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
