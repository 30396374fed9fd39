/**
 * Every call to the kernel by which a Hansa writes, while it does each of some scripts: it is killed there,
 * or the call fails as on a full or a broken disk, once or from there on.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { seededRandom } from '../../src/io/simulated/simulated-random.ts'
import { type Scene, type Script, scripts } from './scripts.ts'
import { Stage } from './stage.ts'
import { type Start, starts, startWatched } from './starts.ts'
import {
  type Errno,
  type Injection,
  type SeenCalls,
  type ThreadName,
  Trace,
  threadNames,
  threadOf,
  writeCalls,
} from './strace.ts'
import { again } from './workload.ts'

const limits = {
  /** How long a call is waited for that is to fail. */
  failMs: 30_000,
  /** How long a server is left with a disk that refuses everything. */
  refusedMs: 700,
  /** What a process may take to end when its disk has failed; much more than it takes. */
  endMs: 5_000,
  /** As many rounds are done with one server. */
  roundsOfStage: 60,
} as const

interface Point {
  readonly script: Script | Start
  readonly thread: ThreadName | 'start'
  readonly injection: Injection
}

export interface SyscallOptions {
  readonly seed: number
  /** What happens to calls: they kill, or fail in one of these ways. */
  readonly acts: readonly ('kill' | Errno)[]
  readonly words: readonly string[]
  readonly pointsMax: number
  readonly endMs: number
  tell(line: string): void
}

/** What is counted over all rounds. */
interface Tally {
  passed: number
  failed: number
  missed: number
  readonly startMs: number[]
  readonly endMs: number[]
}

function nameOf({ script, thread, injection }: Point): string {
  const { call, count, act, isForGood = false } = injection
  return `${script.name}/${thread}/${call}:${count}${isForGood ? '+' : ''}:${act}`
}

/** Goes through places of all scripts in an order of chance. Gives whether all is well. */
export async function runSyscalls(options: SyscallOptions): Promise<boolean> {
  const { seed, tell } = options
  let stage = await Stage.start()
  const tally: Tally = { passed: 0, failed: 0, missed: 0, startMs: [], endMs: [] }
  const all = await pointsOf(stage, options.acts)
  const wanted = all.filter((point) => isWanted(nameOf(point), options.words))
  const chosen = inTurn(wanted, seed).slice(0, options.pointsMax)
  tell(`${all.length} places, of which ${chosen.length} are tried`)
  let rounds = 0
  for (const point of chosen) {
    if (performance.now() > options.endMs) break
    rounds += 1
    const startMs = performance.now()
    const told = (word: string) =>
      `${nameOf(point)}: ${word}, ${Math.round(performance.now() - startMs)} ms`
    try {
      const word = await attempt(stage, point, { tag: `s${seed}.${rounds}`, tally })
      tally[word.startsWith('missed') ? 'missed' : 'passed'] += 1
      tell(told(word))
      if (rounds % limits.roundsOfStage === 0) {
        await stage.endSound()
        stage = await Stage.start()
      }
    } catch (error) {
      tally.failed += 1
      tell(`${told('FAILED')}\n${String(error)}\n${stage.parts.process.logTail(15)}`)
      await stage.end()
      stage = await Stage.start()
    }
  }
  await stage.endSound()
  tell(sumOf(tally, chosen.length - rounds))
  return tally.failed === 0 && (tally.passed > 0 || rounds === 0)
}

/** In an order of chance in which each script has its turn, however many places it has. */
function inTurn(points: readonly Point[], seed: number): Point[] {
  const random = seededRandom(seed)
  const shuffled = points
    .map((point) => ({ point, place: random.fraction() }))
    .toSorted((one, other) => one.place - other.place)
    .map(({ point }) => point)
  const turns = [...Map.groupBy(shuffled, ({ script }) => script).values()].flatMap((of) =>
    of.map((point, turn) => ({ point, turn })),
  )
  return turns.toSorted((one, other) => one.turn - other.turn).map(({ point }) => point)
}

function isWanted(name: string, words: readonly string[]): boolean {
  return words.length === 0 || words.some((word) => name.includes(word))
}

function sumOf({ passed, failed, missed, startMs, endMs }: Tally, left: number): string {
  const shown = (times: number[]) => {
    const sorted = times.toSorted((one, other) => one - other)
    const at = (part: number) => Math.round(sorted[Math.floor(part * (sorted.length - 1))] ?? 0)
    return `${sorted.length} times, half of them within ${at(0.5)} ms, the longest ${at(1)} ms`
  }
  return [
    `calls: ${passed} passed, ${failed} FAILED, ${missed} not reached, ${left} left out for lack of time`,
    `from the start to the first 200: ${shown(startMs)}`,
    ...(endMs.length === 0 ? [] : [`from the failed call to the end: ${shown(endMs)}`]),
  ].join('\n')
}

/** All places, as they are passed when nothing happens there. */
async function pointsOf(stage: Stage, acts: SyscallOptions['acts']): Promise<Point[]> {
  const points: Point[] = []
  const add = (script: Point['script'], thread: Point['thread'], calls: SeenCalls) => {
    for (const call of writeCalls) {
      for (const [index, of] of calls.of(call).entries()) {
        const isFile = thread === 'start' || (thread !== 'main' && of.includes(stage.parts.folder))
        for (const injection of injectionsAt({ call, count: index + 1 }, { acts, isFile })) {
          points.push({ script, thread, injection })
        }
      }
    }
  }
  for (const script of scripts) {
    const scene = await script.prepare(stage.parts, `rehearsal of ${script.name}`)
    const traces = new Map<ThreadName, Trace>()
    for (const thread of threadNames) {
      traces.set(thread, await Trace.attach(threadOf(stage.pid, thread), writeCalls))
    }
    await scene.act()
    for (const [thread, trace] of traces) {
      await trace.detach()
      add(script, thread, trace.calls())
    }
    await scene.check()
  }
  for (const start of starts) {
    const check = await start.prepare(stage, `rehearsal of ${start.name}`)
    const { calls } = await startWatched(stage)
    // Only one at a time can trace it.
    await stage.parts.process.end('SIGKILL')
    await stage.restart()
    await check()
    add(start, 'start', calls)
  }
  return points
}

/** Only what goes to files can fail as on a disk; the rest goes to clients, peers, the log and threads. */
function injectionsAt(
  place: Pick<Injection, 'call' | 'count'>,
  { acts, isFile }: { readonly acts: SyscallOptions['acts']; readonly isFile: boolean },
): Injection[] {
  return acts.flatMap((act): Injection[] => {
    if (act === 'kill') return [{ ...place, act }]
    if (!isFile) return []
    // By the same call threads wake each other, and that never fails.
    const lasts = place.call === 'write' ? [false] : [false, true]
    return lasts.map((isForGood) => ({ ...place, act, isForGood }))
  })
}

interface Round {
  readonly tag: string
  readonly tally: Tally
}

/** Gives a word for what came of it. */
async function attempt(stage: Stage, point: Point, round: Round): Promise<string> {
  const { script, thread, injection } = point
  if (thread === 'start') return await attemptStart(stage, point, round)
  const scene = await (script as Script).prepare(stage.parts, round.tag)
  const trace = await Trace.attach(threadOf(stage.pid, thread), [injection.call], injection)
  stage.watch()
  try {
    const word =
      injection.act === 'kill'
        ? await killed(stage, { scene, trace })
        : await refused(stage, { scene, trace, point, tally: round.tally })
    await scene.check()
    return word
  } finally {
    await trace.detach()
    await stage.endWatch()
    round.tally.startMs.push(...stage.deaths.map(({ startMs }) => startMs))
  }
}

async function killed(
  stage: Stage,
  { scene, trace }: { readonly scene: Scene; readonly trace: Trace },
): Promise<string> {
  await scene.act()
  await trace.detach()
  await stage.endWatch()
  const [death] = stage.deaths
  if (death === undefined) return 'missed'
  assert.equal(death.condition, 'ended by itself with SIGKILL')
  assert.equal(stage.deaths.length, 1, 'it starts once and goes on')
  return 'killed'
}

interface Refused {
  readonly scene: Scene
  readonly trace: Trace
  readonly point: Point
  readonly tally: Tally
}

/** The disk fails once, or until it is seen that the server goes on all the same. */
async function refused(stage: Stage, { scene, trace, point, tally }: Refused): Promise<string> {
  const acting = scene.act()
  let isDone = false
  const done = acting.then(
    () => (isDone = true),
    () => (isDone = true),
  )
  const end = performance.now() + limits.failMs
  while (trace.failed === undefined && !isDone && performance.now() < end) await sleep(10)
  if (point.injection.isForGood) {
    await Promise.race([done, sleep(limits.refusedMs)])
    // Reading goes on, or goes on again.
    const { alice, roomId } = stage.parts
    await again('history', () => alice.history(roomId, 10))
  }
  await trace.detach()
  await acting
  await stage.endWatch()
  const { failed, failedAtMs = 0 } = trace
  // Which one it is differs a little from time to time.
  if (failed === undefined || !failed.includes(stage.parts.folder)) return 'missed'
  const [death] = stage.deaths
  if (death === undefined) return `went on after ${failed}`
  assert.ok(mayEnd(point, failed), `it ends: ${failed}`)
  assert.equal(death.condition, 'ended by itself with code 1', failed)
  const tookMs = death.atMs - failedAtMs
  tally.endMs.push(tookMs)
  assert.ok(tookMs < limits.endMs, `it ends at once, not after ${tookMs} ms: ${failed}`)
  return `ended ${Math.round(tookMs)} ms after ${failed}`
}

/** A database that fails ends the server; one that is full does not, nor does any other file. */
function mayEnd({ thread, injection: { act, call } }: Point, failed: string): boolean {
  if (thread === 'files') return false
  if (act === 'EIO') return true
  // A full disk refuses what is written; it has no place in a sync, or where a file is cut.
  return call !== 'pwrite64' || !/\.db(-wal|-shm)?>/.test(failed)
}

async function attemptStart(stage: Stage, point: Point, { tag, tally }: Round): Promise<string> {
  const { script, injection } = point
  const check = await (script as Start).prepare(stage, tag)
  const { hasStarted, failed } = await startWatched(stage, [injection.call], injection)
  const { condition } = stage.parts.process
  if (hasStarted && condition === 'runs') {
    // What failed once may not have mattered.
    await stage.parts.process.end('SIGKILL')
  }
  stage.watch()
  try {
    await again('a sync', () => stage.parts.alice.sync())
    await check()
  } finally {
    await stage.endWatch()
    tally.startMs.push(...stage.deaths.map(({ startMs }) => startMs))
  }
  if (injection.act === 'kill') return hasStarted ? 'missed' : 'killed'
  if (failed === undefined) return 'missed'
  if (hasStarted) return `went on after ${failed}`
  assert.match(condition, /code [1-9]/, failed)
  return `did not start after ${failed}`
}
