/**
 * All failpoints, one after the other: a server is killed, broken or stopped at each while it works.
 *
 * @module
 */

import { outsidePlaces } from '../../src/io/failpoints.ts'
import { seededRandom } from '../../src/io/simulated/simulated-random.ts'
import { unitPlaces } from '../../src/storage/failpoints.ts'
import type { Journal } from '../journal.ts'
import { cutShort, firstStarts } from './first-start.ts'
import { type Store, startPair } from './pair.ts'
import { round } from './workload.ts'

export const acts = ['kill', 'throw', 'hang'] as const
/** Places that only a first start passes. */
const ofFirstStart = new Set([
  ...['signing-key', 'authority-file', 'certificate-file', 'configuration-file'],
])
/** Of a place that is passed all the time, which times. */
const timesOfCommit = [1, 7, 19]
/** What is done in the background may be done after a round that was short: how many it has. */
const roundsMax = 3

export type Part = Store | 'first'

/** What came of one. */
export interface Outcome {
  readonly part: Part
  readonly failpoint: string
  readonly word: 'passed' | 'FAILED' | 'NOT REACHED'
  readonly tookMs: number
}

export function keyOf({ part, failpoint }: Pick<Outcome, 'part' | 'failpoint'>): string {
  return `${part} ${failpoint}`
}

export interface MatrixOptions {
  readonly acts: readonly string[]
  /** Only failpoints with one of these, if there are any. */
  readonly words: readonly string[]
  /** Of the order. */
  readonly seed: number
  /** Pairs of servers at once. */
  readonly jobs: number
  readonly endMs: number
  /** What is in it is left out. */
  readonly journal: Journal<Outcome>
  tell(line: string): void
}

/** Does it with each, and tells what came of it. Gives whether all is well. */
export async function runPart(part: Part, options: MatrixOptions): Promise<boolean> {
  const { journal, endMs, tell } = options
  const all = failpointsOf(part, options)
  const open = all.filter((failpoint) => journal.get(keyOf({ part, failpoint })) === undefined)
  const isOver = () => open.length === 0 || performance.now() > endMs
  const work = async () => {
    if (isOver()) return
    const attempts = part === 'first' ? onceAtStart : await whileWorking(part)
    while (!isOver()) {
      const failpoint = open.shift() as string
      const startMs = performance.now()
      const { word, rest } = await attempts.act(failpoint)
      const tookMs = Math.round(performance.now() - startMs)
      journal.add({ part, failpoint, word, tookMs }, { rest })
      tell(`${part} ${failpoint}: ${word}, ${tookMs} ms${rest}`)
    }
    await attempts.end()
  }
  await Promise.all(Array.from({ length: options.jobs }, work))
  const done = all.flatMap((failpoint) => journal.get(keyOf({ part, failpoint })) ?? [])
  tell(sumOf(part, done, all.length - done.length))
  return done.every(({ word }) => word === 'passed')
}

function sumOf(part: Part, done: readonly Outcome[], left: number): string {
  const words = ['passed', 'FAILED', 'NOT REACHED'] as const
  const counts = words.map((word) => `${done.filter((one) => one.word === word).length} ${word}`)
  const times = done.map(({ tookMs }) => tookMs).toSorted((one, other) => one - other)
  const secondsAt = (share: number) =>
    ((times[Math.floor(share * (times.length - 1))] ?? 0) / 1000).toFixed(1)
  const took = `half of them within ${secondsAt(0.5)} s, the longest ${secondsAt(1)} s`
  return `${part}: ${counts.join(', ')}, ${left} left out for lack of time; ${took}`
}

/** All failpoints of a part that are asked for, in an order of chance. */
function failpointsOf(part: Part, { acts: wanted, words, seed }: MatrixOptions): string[] {
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
  act(failpoint: string): Promise<Pick<Outcome, 'word'> & { readonly rest: string }>
  end(): Promise<void>
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
  let pair = await startPair(store)
  let count = 0
  return {
    act: async (failpoint) => {
      const { mortal } = pair
      count += 1
      try {
        let isReached = false
        for (let turn = 0; turn < roundsMax && !isReached; turn += 1) {
          // What is passed at a start alone, or after one, is passed then.
          await mortal.arm(failpoint, { anew: turn === roundsMax - 1 })
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
