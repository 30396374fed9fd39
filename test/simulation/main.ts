/**
 * Random runs of simulated federations: `npm run simulate -- --seed 7`, `--seeds 500`, `--minutes 30`.
 *
 * A failure prints its seed and what was wrong. The same seed gives the same trace: one run in
 * twenty, and every single one, is run twice to see to that. In a large run all that a federation
 * must survive has to have happened, or the run shows less than it says.
 *
 * - `--from N`: the first seed; by default one that nobody has run yet.
 * - `--jobs N`: in so many processes; by default as many as there are cores, and one for less than
 *   fifty seeds. What is printed is the same.
 * - `--regression`: first the scenarios that once failed.
 * - `--shrink`: makes what fails small, and keeps it in `test/simulation/regress/`.
 * - `--scenario FILE`: runs what was kept there.
 * - `--html FILE`: with one seed or scenario, draws what happened.
 * - `--tolerate N`: so many seeds that fail are told, and are no failure, nor is what never happened: for
 *   seeds that nobody has run yet, of which one now and then finds what is older than any change.
 * - `--trace`, `--show`: what is said, and what each server holds in the end.
 *
 * @module
 */

import { writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { judgedOtherwise } from '../../src/rooms/complete-room.ts'
import { joinedPartially } from '../../src/rooms/join.ts'
import { faultNames } from './faults.ts'
import { showRooms } from './held-rooms.ts'
import { type Done, runInJobs } from './jobs.ts'
import { legacyTraits } from './legacy-peers.ts'
import { lieNames } from './liars.ts'
import { randomRun } from './random-run.ts'
import { readScenario, regressScenarios, writeScenario } from './regress.ts'
import { Recorder } from './report.ts'
import type { Run, RunOutcome } from './run.ts'
import { runTask, type Task } from './run-task.ts'
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
    jobs: { type: 'string' },
    regression: { type: 'boolean', default: false },
    shrink: { type: 'boolean', default: false },
    scenario: { type: 'string' },
    html: { type: 'string' },
    tolerate: { type: 'string', default: '0' },
    trace: { type: 'boolean', default: false },
    show: { type: 'boolean', default: false },
  },
})

const signedKinds = ['request', 'keys', 'event', 'invite of one of us'].map(
  (kind) => `signed: ${kind}`,
)

/** What must happen in runs of so many seeds. */
const mustHappen: readonly { readonly seeds: number; readonly what: readonly string[] }[] = [
  { seeds: 100, what: often() },
  {
    seeds: 500,
    what: [
      'crash before a commit',
      'crash right after a commit',
      'asked for a secret: 403',
      'joined without all state',
      'forgery: auth events of the past',
      'forgery followed',
      ...faultNames,
      ...signedKinds,
      'taken at the limit of size',
      'taken from among poison',
    ],
  },
  { seeds: 1000, what: [...legacyTraits, ...lieNames] },
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
    'devices compared',
    joinedPartially,
    'forgery rejected',
    'given again: backfill',
    'given again: event',
    'given again: state',
    'history compared',
    'liar',
    'liar with a pact',
    'fork',
    'fork with two faces',
    'keys claimed',
    'known devices compared',
    'late history',
    'restart',
    'state of three forks resolved',
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

const isSingle = values.seed !== undefined || values.scenario !== undefined
const first = Number(values.from ?? Math.floor(Date.now() / 1000))
const seconds = Number(values.seconds ?? Number(values.minutes) * 60)
const seedsMax = Number(values.seeds ?? (Number.isNaN(seconds) ? 100 : Number.POSITIVE_INFINITY))

/** What is run: single scenarios and seeds, or seeds one after the other. */
function* toRun(): Generator<Scenario> {
  if (values.scenario !== undefined) {
    yield readScenario(values.scenario)
    return
  }
  if (values.seed !== undefined) {
    yield { seed: Number(values.seed) }
    return
  }
  if (values.regression) yield* regressScenarios()
  const endMs = performance.now() + seconds * 1000
  console.log(`seeds from ${first} on`)
  for (let index = 0; index < seedsMax; index += 1) {
    if (performance.now() > endMs) return
    yield { seed: first + index }
  }
}

function* tasks(): Generator<Task> {
  let count = 0
  for (const scenario of toRun()) {
    yield { scenario, twice: isSingle || count % 20 === 0 }
    count += 1
  }
}

/** Runs all of them, in this process or in several. */
async function* run(): AsyncGenerator<Done> {
  const fewest = isSingle || seedsMax < 50 ? 1 : availableParallelism()
  const jobs = isSingle ? 1 : Number(values.jobs ?? fewest)
  if (jobs > 1) yield* runInJobs(tasks(), jobs)
  else for (const task of tasks()) yield { task, outcome: await runShown(task) }
}

/** Here, so that what happens can be looked at. */
async function runShown(task: Task): Promise<RunOutcome> {
  const recorder = isSingle && values.html !== undefined ? new Recorder() : undefined
  const onTrace = (line: string) => {
    if (values.trace) console.log(line)
    recorder?.note(line)
  }
  const onEnd = async (run: Run) => {
    if (values.show) await showRooms(run)
    if (recorder !== undefined) writeFileSync(values.html ?? '', await recorder.page(run))
  }
  return await runTask(task, isSingle ? { onTrace, onEnd } : {})
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
  for (const [what, times] of counters) {
    const before = total.get(what) ?? 0
    total.set(what, what.startsWith('most ') ? Math.max(before, times) : before + times)
  }
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
  for await (const { task, outcome } of run()) {
    seeds += 1
    add(total, outcome.counters)
    if (outcome.problems.length === 0) continue
    failed += 1
    await tell(task.scenario, outcome)
  }
  show(total)
  console.log(`${seeds} seeds in ${Math.round((performance.now() - startMs) / 1000)} s`)
  const missing = mustHappen.flatMap((wanted) =>
    seeds < wanted.seeds ? [] : wanted.what.filter((what) => !total.has(what)),
  )
  if (missing.length > 0) console.log(`never happened: ${missing.join(', ')}`)
  const tolerated = Number(values.tolerate)
  const isTolerated = tolerated > 0 && failed <= tolerated
  if (tolerated > 0) console.log(`${failed} seeds found something, of which ${tolerated} may`)
  const failures = isTolerated ? 0 : failed + missing.length
  console.log(`${seeds - failed} passed, ${failures} failed`)
  process.exitCode = failures === 0 ? 0 : 1
}

await main()
