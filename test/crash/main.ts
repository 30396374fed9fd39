/**
 * `npm run crash`: kills, breaks and stops a server at each of its failpoints while it works, and sees
 * that nothing is lost, nothing comes twice, and both servers agree in the end.
 *
 * @module
 */

import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { seededRandom } from '../../src/io/simulated/simulated-random.ts'
import { Journal } from '../journal.ts'
import { postgresBinaries } from '../postgres-cluster.ts'
import { runClusterFaults } from './cluster-faults.ts'
import { acts, keyOf, type Outcome, type Part, runPart } from './matrix.ts'
import { reasonNotToTrace } from './strace.ts'
import { runSyscalls } from './syscalls.ts'

const usage = `npm run crash -- [options] [words]

Without options: SQLite, each place once with \`kill\`, in an order of chance, for three minutes.
Words: only failpoints whose text (name/moment:n:act) has one of them.
  --all          kill, throw and hang, first starts, and PostgreSQL where it is installed; all of them
  --act A        kill, throw or hang instead
  --store S      sqlite, postgres, or first (first starts) instead
  --syscalls     kills at single calls to the kernel instead, and lets them fail; needs strace
  --cluster      kills and stops PostgreSQL under a server instead
  --points N     at how many of them at most
  --minutes N    how long at most
  --journal F    writes down what came of each failpoint, and leaves out what is written there already
  --jobs N       so many pairs of servers at once; as many as there are cores if it is not said
  --seed N       the order, as a run before has printed it
`

const defaultMinutes = 3
const { values, positionals: words } = parseArgs({
  allowPositionals: true,
  options: {
    all: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
    act: { type: 'string', multiple: true },
    store: { type: 'string', multiple: true },
    minutes: { type: 'string' },
    journal: { type: 'string' },
    jobs: { type: 'string' },
    seed: { type: 'string' },
    syscalls: { type: 'boolean', default: false },
    cluster: { type: 'boolean', default: false },
    points: { type: 'string' },
  },
})
const isAll = values.all
const seed = Number(values.seed ?? Math.floor(performance.timeOrigin) % 100_000)
const minutes = Number(values.minutes ?? (isAll ? Number.POSITIVE_INFINITY : defaultMinutes))
const endMs = performance.now() + minutes * 60_000

function partsOf(): Part[] {
  if (values.store !== undefined) return values.store as Part[]
  if (!isAll) return ['sqlite']
  return ['first', 'sqlite', ...(postgresBinaries() === undefined ? [] : (['postgres'] as const))]
}

async function runMatrix(): Promise<boolean> {
  const options = {
    ...{ words, seed, endMs },
    acts: values.act ?? (isAll ? acts : ['kill']),
    jobs: Number(values.jobs ?? availableParallelism()),
    journal: new Journal<Outcome>(values.journal, keyOf),
    tell: (line: string) => console.log(line),
  }
  let isGood = true
  for (const part of partsOf()) isGood = (await runPart(part, options)) && isGood
  return isGood
}

async function runCluster(): Promise<boolean> {
  const reason =
    postgresBinaries() === undefined ? 'no PostgreSQL is installed' : reasonNotToTrace()
  if (reason !== undefined) {
    console.log(`cluster: left out, since ${reason}`)
    return true
  }
  const random = seededRandom(seed)
  const tell = (line: string) => console.log(line)
  return await runClusterFaults({ words, endMs, fraction: () => random.fraction(), tell })
}

/** Kills, then errors of disks. */
async function runCalls(): Promise<boolean> {
  const reason = reasonNotToTrace()
  if (reason !== undefined) {
    console.log(`calls: left out, since ${reason}`)
    return true
  }
  const pointsMax = Number(values.points ?? Number.POSITIVE_INFINITY)
  const tell = (line: string) => console.log(line)
  let isGood = true
  for (const some of [['kill'], ['ENOSPC', 'EIO']] as const) {
    const wanted = some.filter((act) => values.act?.includes(act) ?? true)
    if (wanted.length === 0) continue
    const options = { seed, acts: wanted, words, pointsMax, endMs, tell }
    isGood = (await runSyscalls(options)) && isGood
  }
  return isGood
}

// Servers end with the process that started them, which a signal alone would not do.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(143))

if (values.help) {
  console.log(usage)
} else {
  console.log(`seed ${seed}`)
  let isGood = true
  if (values.syscalls) isGood = await runCalls()
  else if (values.cluster) isGood = await runCluster()
  else isGood = await runMatrix()
  process.exit(isGood ? 0 : 1)
}
