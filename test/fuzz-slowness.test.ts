/**
 * What is slow, as fuzzing sees it: what keeps the thread each time it is run, by itself and without the
 * engine's counters. The inputs keep the thread for a CPU time, so the tests do not hang on the machine.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMainThread } from 'node:worker_threads'
import { judge } from './fuzz/judge.ts'
import { leastCpuMs, UncountedThread } from './fuzz/slowness.ts'
import type { OpenTarget, Target } from './fuzz/target.ts'

const cpuMsMax = 20

/** Keeps the thread for longer than a target may. */
function keepThread(): void {
  const began = process.threadCpuUsage()
  const usedMs = () => {
    const { user, system } = process.threadCpuUsage(began)
    return (user + system) / 1000
  }
  while (usedMs() < 2 * cpuMsMax) {}
}

const always: Target = { name: 'always', seeds: [], cpuMsMax, run: keepThread }
const alwaysLater: Target = { ...always, name: 'later', run: async () => keepThread() }
const refusedLate: Target = {
  ...always,
  name: 'refused',
  errors: ['RangeError'],
  run() {
    keepThread()
    throw new RangeError('the input is bad')
  },
}
/** As if the counters of this thread made it slow. */
const inThisThread: Target = {
  ...always,
  name: 'in this thread',
  run: () => (isMainThread ? keepThread() : undefined),
}
const onlyAside: Target = { ...always, name: 'aside', run: (_, aside) => aside(keepThread) }

/** The worker finds them here. */
export const targets: ReadonlyMap<string, OpenTarget> = new Map(
  [always, alwaysLater, refusedLate, inThisThread, onlyAside].map((one) => [one.name, () => one]),
)

if (isMainThread) {
  const input = Buffer.from('x')
  const thread = new UncountedThread(import.meta.url)
  const uncounted = thread.leastCpuMs

  for (const target of [always, alwaysLater, refusedLate]) {
    test(`what keeps the thread each time is slow: ${target.name}`, async () => {
      assert.equal((await judge(target, input))?.kind, 'slow')
      assert.equal((await judge(target, input, { uncounted }))?.kind, 'slow')
    })
  }

  test('what keeps the thread at first, or once, is not slow', async () => {
    for (const slowRuns of [1, 3, 5]) {
      let runs = 0
      const run = () => {
        runs += 1
        if (runs <= slowRuns) keepThread()
      }
      assert.equal(await judge({ ...always, run }, input), undefined)
      assert.equal(runs, slowRuns + 1)
    }
  })

  test('what keeps only a thread whose engine counts is not slow', async () => {
    assert.equal((await judge(inThisThread, input))?.kind, 'slow')
    assert.equal(await judge(inThisThread, input, { uncounted }), undefined)
  })

  test('what a target does to compare does not count', async () => {
    assert.equal(await judge(onlyAside, input), undefined)
    assert.equal(await judge(onlyAside, input, { uncounted }), undefined)
    assert.ok((await leastCpuMs(onlyAside, input)) < cpuMsMax)
  })

  test('an error of a target that is asked in the other thread comes to who asks', async () => {
    const unknown = { ...always, name: 'none of them' }
    await assert.rejects(
      new UncountedThread(import.meta.url).leastCpuMs(unknown, input),
      /there is no target none of them/,
    )
  })

  test('the thread ends', async () => {
    await thread.end()
  })
}
