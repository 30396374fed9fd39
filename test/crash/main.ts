/**
 * `npm run crash`: kills, breaks and stops a server at each of its failpoints while it works, and sees
 * that nothing is lost, nothing comes twice, and both servers agree in the end.
 *
 * @module
 */

import { outsidePlaces } from '../../src/io/failpoints.ts'
import { unitPlaces } from '../../src/storage/failpoints.ts'
import { postgresBinaries } from '../postgres-cluster.ts'
import { type Store, startPair } from './pair.ts'
import { round } from './workload.ts'

const usage = `npm run crash -- [options] [words]

Without options: SQLite, each place once with \`kill\`, for at most three minutes.
Words: only failpoints whose name has one of them.
  --all            \`throw\` and \`hang\` too, and PostgreSQL where it is installed, however long it takes
  --postgres       PostgreSQL alone
  --minutes N      how long at most
`

const acts = ['kill', 'throw', 'hang'] as const
const defaultMinutes = 3

interface Options {
  readonly stores: readonly Store[]
  readonly acts: readonly (typeof acts)[number][]
  readonly words: readonly string[]
  readonly endMs: number
}

function optionsOf(args: readonly string[]): Options {
  const isAll = args.includes('--all')
  const minutesAt = args.indexOf('--minutes')
  const given = minutesAt < 0 ? undefined : Number(args[minutesAt + 1])
  const minutes = given ?? (isAll ? Number.POSITIVE_INFINITY : defaultMinutes)
  const words = args.filter(
    (arg, at) => !arg.startsWith('--') && (minutesAt < 0 || at !== minutesAt + 1),
  )
  const hasPostgres = postgresBinaries() !== undefined
  const stores: Store[] = args.includes('--postgres') ? [] : ['sqlite']
  if ((isAll || stores.length === 0) && hasPostgres) stores.push('postgres')
  return {
    stores,
    acts: isAll
      ? acts
      : acts.filter(
          (act) =>
            args.includes(`--${act}`) ||
            (act === 'kill' && !args.includes('--throw') && !args.includes('--hang')),
        ),
    words,
    endMs: performance.now() + minutes * 60_000,
  }
}

/** All failpoints that a server which runs can pass, as `name:n:act`. */
function failpointsOf(store: Store, { acts: wanted, words }: Options): string[] {
  const names = [...unitPlaces, ...outsidePlaces, ...(store === 'sqlite' ? ['commit'] : [])]
  const atStart = new Set([
    'signing-key',
    'authority-file',
    'certificate-file',
    'configuration-file',
  ])
  const places = names
    .filter((name) => !atStart.has(name))
    .flatMap((name) => [`${name}/before`, `${name}/after`])
  const counted = places.flatMap((place) =>
    (place.startsWith('commit/') ? [1, 7, 19] : [1]).map((count) => `${place}:${count}`),
  )
  return wanted
    .flatMap((act) => counted.map((place) => `${place}:${act}`))
    .filter((text) => words.length === 0 || words.some((word) => text.includes(word)))
}

async function run(store: Store, options: Options): Promise<boolean> {
  let pair = await startPair(store)
  const failpoints = failpointsOf(store, options)
  const counts = { passed: 0, failed: 0, unreached: 0 }
  let number = 0
  for (const failpoint of failpoints) {
    if (performance.now() > options.endMs) break
    number += 1
    const startMs = performance.now()
    let outcome = 'passed'
    try {
      await pair.mortal.arm(failpoint)
      await round(pair, `${failpoint.replace('/', ' ')} ${number}`)
      if (!(await pair.mortal.disarm())) outcome = 'unreached'
      counts[outcome as 'passed' | 'unreached'] += 1
    } catch (error) {
      outcome = 'failed'
      counts.failed += 1
      console.error(error, `\n${pair.mortal.process.logTail(20)}`)
      await pair.mortal.disarm().catch(() => {})
      await pair.end()
      pair = await startPair(store)
    }
    const tookMs = Math.round(performance.now() - startMs)
    console.log(`${store} ${failpoint} ${outcome}, ${pair.mortal.restarts} restarts, ${tookMs} ms`)
  }
  await pair.end()
  const left = failpoints.length - number
  console.log(`${store}: ${JSON.stringify(counts)}, ${left} left out for lack of time`)
  return counts.failed === 0
}

const args = process.argv.slice(2)
if (args.includes('--help')) {
  console.log(usage)
} else {
  const options = optionsOf(args)
  let isGood = true
  for (const store of options.stores) isGood = (await run(store, options)) && isGood
  process.exit(isGood ? 0 : 1)
}
