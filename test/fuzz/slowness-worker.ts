/**
 * The thread in which slowness is measured: see `slowness.ts`.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { parentPort, workerData } from 'node:worker_threads'
import { leastCpuMs, type UncountedQuestion, type UncountedStart } from './slowness.ts'
import type { OpenTarget, Target } from './target.ts'

const { module }: UncountedStart = workerData
const { targets }: { targets: ReadonlyMap<string, OpenTarget> } = await import(module)
const opened = new Map<string, Target>()

parentPort?.on('message', async ({ target: name, input }: UncountedQuestion) => {
  const open = targets.get(name)
  assert(open, `there is no target ${name}`)
  const target = opened.get(name) ?? (await open())
  opened.set(name, target)
  parentPort?.postMessage(await leastCpuMs(target, input))
})
