/**
 * Fuzzing: `npm run fuzz`, or of some targets: `npm run fuzz -- json pdu --seconds 60 --seed 7`.
 *
 * Each target gets so many seconds (20 if it is not said), whole servers some times as many. What is found is made small, told, and kept
 * in `test/fuzz/regress/`, where `test/fuzz-regress.test.ts` runs it from then on. An input that never ends is
 * told and kept as it is, and ends the run. The seed is printed; with `--runs N` instead of seconds the same
 * seed runs the same inputs, unless the code has changed.
 *
 * - `--runs N`: so many inputs of each target.
 * - `--list`: the names of all targets.
 * - `--input FILE`: runs this input of one target, and shows what comes of it.
 *
 * @module
 */

import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { Coverage } from './coverage.ts'
import { type Found, fuzz } from './fuzz.ts'
import { judge } from './judge.ts'
import { inputLines, regressInputs, writeRegressInput } from './regress.ts'
import { shrink } from './shrink.ts'
import { UncountedThread } from './slowness.ts'
import type { Target } from './target.ts'
import { targets } from './targets.ts'
import { Watchdog } from './watchdog.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '20' },
    runs: { type: 'string' },
    seed: { type: 'string' },
    input: { type: 'string' },
    list: { type: 'boolean', default: false },
  },
})

const seed =
  values.seed === undefined ? Math.floor(performance.timeOrigin) % 2 ** 31 : Number(values.seed)
const { leastCpuMs: uncounted } = new UncountedThread(import.meta.resolve('./targets.ts'))
const watchdog = new Watchdog({ seed, file: values.input })

if (values.list) for (const name of targets.keys()) console.log(name)
else await fuzzAll(positionals.length > 0 ? positionals : [...targets.keys()])
// Servers that were made for a target have timers.
process.exit()

async function fuzzAll(names: readonly string[]): Promise<void> {
  console.log(`seed ${seed}`)
  let failed = 0
  for (const name of names) {
    const open = targets.get(name)
    if (open === undefined) throw new Error(`there is no target ${name}; --list tells their names`)
    const target = await open()
    const isGood = values.input === undefined ? await fuzzOne(target) : await showOne(target)
    if (!isGood) failed += 1
  }
  console.log(`${names.length - failed} passed, ${failed} failed`)
  if (failed > 0) process.exitCode = 1
}

async function fuzzOne(target: Target): Promise<boolean> {
  const coverage = new Coverage((url) => url.includes('/src/'))
  const known = regressInputs().filter(({ target: name }) => name === target.name)
  const began = performance.now()
  const limit =
    values.runs === undefined
      ? { msMax: Number(values.seconds) * 1000 * (target.timeFactor ?? 1) }
      : { runsMax: Number(values.runs) }
  const seeds = known.map(({ input }) => input)
  const options = { seed, coverage, uncounted, watchdog, seeds, ...limit }
  const { runs, kept, found } = await fuzz(target, options)
  const perSecond = Math.round(runs / ((performance.now() - began) / 1000))
  const { functions } = coverage
  coverage.end()
  const mark = found.length === 0 ? '✔' : '✖'
  console.log(
    `${mark} ${target.name}: ${runs} inputs, ${perSecond} a second, ${kept} kept, ${functions} functions reached`,
  )
  for (const one of found) await tell(target, one)
  return found.length === 0
}

async function tell(target: Target, { finding, input }: Found): Promise<void> {
  const small = await shrink(target, { input, kind: finding.kind, uncounted, watchdog })
  const file = writeRegressInput(target.name, small)
  const { text } = (await judge(target, small, { uncounted, watchdog })) ?? finding
  console.log(`    ${text.replaceAll('\n', '\n    ')}`)
  for (const line of inputLines(file, small)) console.log(line)
}

async function showOne(target: Target): Promise<boolean> {
  const finding = await judge(target, readFileSync(values.input ?? ''), { watchdog })
  console.log(finding?.text ?? `${target.name}: nothing is wrong with it`)
  return finding === undefined
}
