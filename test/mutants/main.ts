/**
 * Changes the heart of the protocol in small ways, one after the other, and demands that tests notice:
 * `npm run mutants`, or only of some files: `npm run mutants -- redaction`.
 *
 * A mutant that no test notices is told with its line. Those that make no difference that anybody
 * could see are in a table (`equivalents.ts`), with the reason, and are left out. Of the others at most
 * 5 in 100 may be left.
 *
 * - `--sample N`: only so many, evenly over all of them.
 * - `--quick`: without the tests that need a process of their own, which few mutants need.
 * - `--journal FILE`: writes down what came of each, and leaves out what is written there already.
 * - `--minutes N`: stops after that; with a journal the next run goes on from there.
 *
 * @module
 */

import { hash } from 'node:crypto'
import { parseArgs } from 'node:util'
import { Journal } from '../journal.ts'
import { equivalentOf } from './equivalents.ts'
import { allTasks, type Task } from './subjects.ts'
import { Trials } from './trial.ts'

/** In a hundred mutants, so many must be noticed. */
const noticedShareMin = 0.95

interface Outcome {
  readonly file: string
  readonly mutant: string
  readonly isNoticed: boolean
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    sample: { type: 'string' },
    quick: { type: 'boolean', default: false },
    journal: { type: 'string' },
    minutes: { type: 'string' },
  },
})

function wantedTasks(): Task[] {
  const wanted = allTasks({ isQuick: values.quick })
    .filter((task) => equivalentOf(task) === undefined)
    .filter(
      ({ file }) => positionals.length === 0 || positionals.some((part) => file.includes(part)),
    )
  const sample = Math.min(Number(values.sample ?? wanted.length), wanted.length)
  return Array.from(
    { length: sample },
    (_, at) => wanted[Math.floor((at * wanted.length) / sample)],
  ).flatMap((task) => task ?? [])
}

function keyOf({ file, mutant }: Task): string {
  return hash('sha256', `${file}\n${mutant.text}`).slice(0, 16)
}

async function tryAll(chosen: readonly Task[]): Promise<Journal<Outcome>> {
  const outcomes = new Journal<Outcome>(values.journal, ({ mutant }) => mutant)
  const open = chosen.filter((task) => outcomes.get(keyOf(task)) === undefined)
  const until = performance.now() + Number(values.minutes ?? Number.POSITIVE_INFINITY) * 60_000
  const trials = new Trials()
  try {
    for (const task of open) {
      if (performance.now() > until) break
      await trials.begin(task)
      const noticer = await trials.noticer(task)
      const { file, mutant } = task
      outcomes.add({ file, mutant: keyOf(task), isNoticed: noticer !== undefined }, { noticer })
      if (noticer === undefined) {
        console.log(`${file}:${mutant.line}: nobody notices '${mutant.is}' for '${mutant.was}'`)
      }
    }
  } finally {
    trials.end()
  }
  return outcomes
}

function tell(chosen: readonly Task[], outcomes: Journal<Outcome>): void {
  const tried = chosen.flatMap((task) => outcomes.get(keyOf(task)) ?? [])
  for (const [file, some] of Map.groupBy(tried, ({ file }) => file))
    console.log(scoreOf(file, some))
  console.log(scoreOf('all', tried))
  if (tried.length < chosen.length) console.log(`${chosen.length - tried.length} are left to try`)
  const share = tried.filter(({ isNoticed }) => isNoticed).length / tried.length
  process.exitCode = share >= noticedShareMin ? 0 : 1
}

function scoreOf(name: string, outcomes: readonly Outcome[]): string {
  const noticed = outcomes.filter(({ isNoticed }) => isNoticed).length
  const share = ((100 * noticed) / outcomes.length).toFixed(1)
  return `${name}: ${noticed} of ${outcomes.length} noticed, ${share} %`
}

const chosen = wantedTasks()
tell(chosen, await tryAll(chosen))
