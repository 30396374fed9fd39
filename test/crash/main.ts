/**
 * `npm run crash`: kills, breaks and stops a server at each of its failpoints while it works, and sees
 * that nothing is lost, nothing comes twice, and both servers agree in the end.
 *
 * @module
 */

import { parseArgs } from 'node:util'
import { outsidePlaces } from '../../src/io/failpoints.ts'
import { seededRandom } from '../../src/io/simulated/simulated-random.ts'
import { unitPlaces } from '../../src/storage/failpoints.ts'
import { postgresBinaries } from '../postgres-cluster.ts'
import { runClusterFaults } from './cluster-faults.ts'
import { cutShort, firstStarts } from './first-start.ts'
import { type Pair, type Store, startPair } from './pair.ts'
import { reasonNotToTrace } from './strace.ts'
import { runSyscalls } from './syscalls.ts'
import { round } from './workload.ts'

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
  --seed N       the order, as a run before has printed it
`

const acts = ['kill', 'throw', 'hang']
const defaultMinutes = 3
/** Places that only a first start passes, and those of its thread. */
const ofFirstStart = new Set([
  ...['signing-key', 'authority-file', 'certificate-file', 'configuration-file'],
])
/** Of a place that is passed all the time, which times. */
const timesOfCommit = [1, 7, 19]

/** What is done in the background may be done after a round that was short: how many it has. */
const roundsMax = 3

type Part = Store | 'first'

const { values, positionals: words } = parseArgs({
  allowPositionals: true,
  options: {
    all: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
    act: { type: 'string', multiple: true },
    store: { type: 'string', multiple: true },
    minutes: { type: 'string' },
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

/** All failpoints of a part that are asked for, in an order of chance. */
function failpointsOf(part: Part): string[] {
  const wanted = values.act ?? (isAll ? acts : ['kill'])
  const all = part === 'first' ? firstStarts() : whileItWorks(part)
  const random = seededRandom(seed)
  return all
    .filter((text) => wanted.includes(text.split(':')[2] ?? ''))
    .filter((text) => words.length === 0 || words.some((word) => text.includes(word)))
    .map((text) => ({ text, place: random.fraction() }))
    .toSorted((one, other) => one.place - other.place)
    .map(({ text }) => text)
}

function whileItWorks(store: Store): string[] {
  const names = [...unitPlaces, ...outsidePlaces, ...(store === 'sqlite' ? ['commit'] : [])]
  return names
    .filter((name) => !ofFirstStart.has(name))
    .flatMap((name) =>
      (name === 'commit' ? timesOfCommit : [1]).flatMap((count) =>
        ['before', 'after'].flatMap((moment) =>
          acts.map((act) => `${name}/${moment}:${count}:${act}`),
        ),
      ),
    )
}

interface Attempts {
  act(failpoint: string, count: number): Promise<Outcome>
  end(): Promise<void>
}

interface Outcome {
  readonly word: 'passed' | 'FAILED' | 'NOT REACHED'
  readonly rest: string
}

/** Does it with each, and prints what came of it. Gives whether all is well. */
async function runPart(part: Part): Promise<boolean> {
  const failpoints = failpointsOf(part)
  const attempt = part === 'first' ? onceAtStart : await whileWorking(part)
  const counts = { passed: 0, FAILED: 0, 'NOT REACHED': 0 }
  let count = 0
  for (const failpoint of failpoints) {
    if (performance.now() > endMs) break
    count += 1
    const startMs = performance.now()
    const { word, rest } = await attempt.act(failpoint, count)
    counts[word] += 1
    const tookMs = Math.round(performance.now() - startMs)
    console.log(`${part} ${failpoint}: ${word}, ${tookMs} ms${rest}`)
  }
  await attempt.end()
  const left = failpoints.length - count
  const sums = Object.entries(counts).map(([word, sum]) => `${sum} ${word}`)
  console.log(`${part}: ${sums.join(', ')}, ${left} left out for lack of time`)
  return counts.FAILED + counts['NOT REACHED'] === 0
}

const onceAtStart: Attempts = {
  act: async (failpoint) => {
    try {
      await cutShort(failpoint)
      return { word: 'passed', rest: '' }
    } catch (error) {
      return { word: 'FAILED', rest: `\n${String(error)}` }
    }
  },
  end: async () => {},
}

/** The same two servers go through all of it, until something is wrong with them. */
async function whileWorking(store: Store): Promise<Attempts> {
  let pair: Pair = await startPair(store)
  return {
    act: async (failpoint, count) => {
      const { mortal } = pair
      try {
        let isReached = false
        for (let turn = 0; turn < roundsMax && !isReached; turn += 1) {
          await mortal.arm(failpoint)
          await round(pair, `${failpoint.replace('/', ' ')} ${count} ${turn}`)
          isReached = await mortal.disarm()
        }
        const rest = `, ${mortal.restarts} restarts`
        return { word: isReached ? 'passed' : 'NOT REACHED', rest }
      } catch (error) {
        const logs = `${mortal.process.logTail()}\nThe other server:\n${pair.other.logTail()}`
        // Why it was not started again, if that is so.
        const why = await mortal.disarm().then(
          () => '',
          (cause) => `\n${String(cause)}`,
        )
        const rest = `\n${String(error)}${why}\n${logs}`
        await pair.end()
        pair = await startPair(store)
        return { word: 'FAILED', rest }
      }
    },
    end: () => pair.end(),
  }
}

function partsOf(): Part[] {
  if (values.store !== undefined) return values.store as Part[]
  if (!isAll) return ['sqlite']
  return ['first', 'sqlite', ...(postgresBinaries() === undefined ? [] : (['postgres'] as const))]
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
  else for (const part of partsOf()) isGood = (await runPart(part)) && isGood
  process.exit(isGood ? 0 : 1)
}
