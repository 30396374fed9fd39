/**
 * Random runs of simulated federations: `npm run simulate -- --seed 7`, `--seeds 500`, `--minutes 30`.
 *
 * A failure prints its seed and what was wrong. The same seed gives the same trace: one run in
 * twenty, and every single one, is run twice to see to that. In a large run all that a federation
 * must survive has to have happened, or the run shows less than it says.
 *
 * - `--from N`: the first seed; by default one that nobody has run yet.
 * - `--regression`: first the scenarios that once failed.
 * - `--shrink`: makes what fails small, and keeps it in `test/simulation/regress/`.
 * - `--scenario FILE`: runs what was kept there.
 * - `--html FILE`: with one seed or scenario, draws what happened.
 * - `--report`: what is found is told, and is no failure: for fresh seeds beside a gate.
 * - `--trace`, `--show`: what is said, and what each server holds in the end.
 *
 * @module
 */

import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { judgedOtherwise } from '../../src/rooms/complete-room.ts'
import { joinedPartially } from '../../src/rooms/join.ts'
import { faultNames } from './faults.ts'
import { showRooms } from './held-rooms.ts'
import { legacyTraits } from './legacy-peers.ts'
import { randomRun } from './random-run.ts'
import { readScenario, regressScenarios, writeScenario } from './regress.ts'
import { Recorder } from './report.ts'
import type { Run, RunOutcome } from './run.ts'
import type { Scenario } from './scenario.ts'
import { shrink } from './shrink.ts'
import type { Counters } from './world.ts'

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    seeds: { type: 'string' },
    seconds: { type: 'string' },
    minutes: { type: 'string' },
    from: { type: 'string' },
    regression: { type: 'boolean', default: false },
    shrink: { type: 'boolean', default: false },
    scenario: { type: 'string' },
    html: { type: 'string' },
    report: { type: 'boolean', default: false },
    trace: { type: 'boolean', default: false },
    show: { type: 'boolean', default: false },
  },
})

/** What must happen in runs of so many seeds. */
const mustHappen: readonly { readonly seeds: number; readonly what: readonly string[] }[] = [
  { seeds: 100, what: often() },
  {
    seeds: 500,
    what: [
      'crash before a commit',
      'crash right after a commit',
      'joined without all state',
      'forgery: auth events of the past',
      ...faultNames,
      ...legacyTraits,
    ],
  },
  // Less than once in 800 seeds: what a room that is known in part can get wrong is mostly refused, and
  // mostly somebody is left who has what was said.
  {
    seeds: 5_000,
    what: [judgedOtherwise, 'out of reach', 'forgery: auth events that were rejected'],
  },
]

function often(): string[] {
  return [
    'asked backfill',
    'asked event_auth',
    'asked get_missing_events',
    'asked state_ids',
    'crash',
    'cut',
    joinedPartially,
    'forgery rejected',
    'fork',
    'fork with two faces',
    'late history',
    'restart',
    'state resolved',
    'states compared',
    'states recomputed',
    'stored as history',
    'stored rejected',
    'stored soft_failed',
    'timelines compared',
    ...Array.from({ length: 12 }, (_, index) => `version ${index + 1}`),
  ]
}

/** What is run: single scenarios and seeds, or seeds one after the other. */
function* toRun(startMs: number): Generator<Scenario> {
  if (values.scenario !== undefined) {
    yield readScenario(values.scenario)
    return
  }
  if (values.seed !== undefined) {
    yield { seed: Number(values.seed) }
    return
  }
  if (values.regression) yield* regressScenarios()
  const first = Number(values.from ?? Math.floor(Date.now() / 1000))
  const seconds = Number(values.seconds ?? Number(values.minutes) * 60)
  const endMs = Number.isNaN(seconds) ? undefined : startMs + seconds * 1000
  const count = Number(values.seeds ?? (endMs === undefined ? 100 : Number.POSITIVE_INFINITY))
  console.log(`seeds from ${first} on`)
  for (let index = 0; index < count; index += 1) {
    if (endMs !== undefined && performance.now() > endMs) return
    yield { seed: first + index }
  }
}

const isSingle = values.seed !== undefined || values.scenario !== undefined

/** One scenario, twice if `twice`. */
async function run(scenario: Scenario, twice: boolean): Promise<RunOutcome> {
  const recorder = isSingle && values.html !== undefined ? new Recorder() : undefined
  const onTrace = (line: string) => {
    if (values.trace) console.log(line)
    recorder?.note(line)
  }
  const onEnd = async (run: Run) => {
    if (values.show) await showRooms(run)
    if (recorder !== undefined) writeFileSync(values.html ?? '', await recorder.page(run))
  }
  const outcome = await randomRun(scenario, isSingle ? { onTrace, onEnd } : {})
  if (!twice) return outcome
  const again = await randomRun(scenario)
  if (again.trace === outcome.trace) return outcome
  return { ...outcome, problems: [...outcome.problems, 'two runs of this seed differ'] }
}

/** Says what was wrong, and makes it small if that is wished. */
async function tell({ keeps }: Scenario, outcome: RunOutcome): Promise<void> {
  const { seed, problems } = outcome
  const how = keeps ? `--scenario test/simulation/regress/${seed}.json` : `--seed ${seed}`
  console.log(`seed ${seed} failed; npm run simulate -- ${how}`)
  for (const problem of problems.slice(0, 10)) console.log(`  ${problem}`)
  if (!values.shrink) return
  const scenario = await shrink(seed, outcome, randomRun, {
    onStep: (left) => process.stderr.write(`\r  ${left} parts of ${outcome.met.length} left `),
  })
  console.log(`\n  kept in ${writeScenario(scenario)}:`)
  for (const part of scenario.keeps) console.log(`    ${part}`)
}

function add(total: Counters, counters: Counters): void {
  for (const [what, times] of counters) total.set(what, (total.get(what) ?? 0) + times)
}

function show(total: Counters): void {
  for (const [what, times] of [...total].sort(([a], [b]) => a.localeCompare(b))) {
    console.log(`  ${String(times).padStart(8)} ${what}`)
  }
}

async function main(): Promise<void> {
  const total: Counters = new Map()
  const startMs = performance.now()
  let seeds = 0
  let failed = 0
  for (const scenario of toRun(startMs)) {
    const outcome = await run(scenario, isSingle || seeds % 20 === 0)
    seeds += 1
    add(total, outcome.counters)
    if (outcome.problems.length === 0) continue
    failed += 1
    await tell(scenario, outcome)
  }
  show(total)
  console.log(`${seeds} seeds in ${Math.round((performance.now() - startMs) / 1000)} s`)
  const missing = mustHappen.flatMap((wanted) =>
    seeds < wanted.seeds ? [] : wanted.what.filter((what) => !total.has(what)),
  )
  if (missing.length > 0) console.log(`never happened: ${missing.join(', ')}`)
  if (values.report) {
    console.log(`of ${seeds} fresh seeds ${failed} found something`)
    return
  }
  console.log(`${seeds - failed} passed, ${failed + missing.length} failed`)
  process.exitCode = failed + missing.length === 0 ? 0 : 1
}

await main()
