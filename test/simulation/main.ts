/**
 * `npm run simulate -- --seed 7`, or `--seeds 500`: random runs of simulated federations.
 *
 * A failure prints its seed and what was wrong. The same seed gives the same trace: one run in
 * twenty, and every single one, is run twice to see to that.
 *
 * @module
 */

import { parseArgs } from 'node:util'
import { randomRun } from './random-run.ts'
import type { RunOutcome } from './run.ts'
import type { Counters } from './world.ts'

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    seeds: { type: 'string', default: '100' },
    from: { type: 'string' },
    trace: { type: 'boolean', default: false },
    show: { type: 'boolean', default: false },
  },
})

/** What must have happened in a large run, or the faults did not bite. */
const mustHappen = [
  'crash',
  'restart',
  'cut',
  'soft_failed',
  'states compared',
  'timelines compared',
]

function add(total: Counters, counters: Counters): void {
  for (const [what, times] of counters) total.set(what, (total.get(what) ?? 0) + times)
}

/** One seed, twice if `twice`. Gives its problems. */
async function run(seed: number, twice: boolean): Promise<RunOutcome> {
  const onTrace = values.trace ? (line: string) => console.log(line) : undefined
  const outcome = await randomRun(seed, { onTrace, show: values.show })
  if (!twice) return outcome
  const again = await randomRun(seed)
  if (again.trace === outcome.trace) return outcome
  return { ...outcome, problems: [...outcome.problems, 'two runs of this seed differ'] }
}

function show(total: Counters): void {
  for (const [what, times] of [...total].sort(([a], [b]) => a.localeCompare(b))) {
    console.log(`  ${String(times).padStart(8)} ${what}`)
  }
}

async function main(): Promise<void> {
  const single = values.seed !== undefined
  const first = Number(values.seed ?? values.from ?? Math.floor(Date.now() / 1000))
  const seeds = single ? 1 : Number(values.seeds)
  const total: Counters = new Map()
  const start = performance.now()
  let failed = 0
  for (let index = 0; index < seeds; index += 1) {
    const outcome = await run(first + index, single || index % 20 === 0)
    add(total, outcome.counters)
    if (outcome.problems.length === 0) continue
    failed += 1
    console.log(`seed ${outcome.seed} failed; npm run simulate -- --seed ${outcome.seed}`)
    for (const problem of outcome.problems.slice(0, 10)) console.log(`  ${problem}`)
  }
  console.log(`seeds ${first} to ${first + seeds - 1}, ${Math.round(performance.now() - start)} ms`)
  show(total)
  const missing = single || seeds < 50 ? [] : mustHappen.filter((what) => !total.has(what))
  if (missing.length > 0) console.log(`never happened: ${missing.join(', ')}`)
  console.log(`${seeds - failed} passed, ${failed + missing.length} failed`)
  process.exitCode = failed + missing.length === 0 ? 0 : 1
}

await main()
