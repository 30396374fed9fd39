/**
 * The thread that watches: see `watchdog.ts`. It says and does everything by itself, since the thread that it
 * watches may never do anything again.
 *
 * @module
 */

import { writeSync } from 'node:fs'
import { workerData } from 'node:worker_threads'
import { inputLines, writeRegressInput } from './regress.ts'
import { RunningInput } from './running-input.ts'
import type { WatchdogStart } from './watchdog.ts'

const { memory, seed, msMax, file }: WatchdogStart = workerData
const running = new RunningInput(memory)

setInterval(() => {
  const found = running.sinceLastAsked()
  if (found === undefined) return
  const { target, input } = found
  const kept = file ?? writeRegressInput(target, input)
  const lines = [
    `✖ ${target}, seed ${seed}: an input has not ended after ${msMax / 1000} s`,
    ...inputLines(kept, input),
  ]
  writeSync(1, lines.map((line) => `${line}\n`).join(''))
  process.kill(process.pid, 'SIGKILL')
}, msMax)
