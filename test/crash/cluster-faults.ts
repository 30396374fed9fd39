/**
 * What can befall a PostgreSQL under a server that works: one of its processes is killed, in the middle of
 * a commit too, or all of it ends at once and comes back, soon or late.
 *
 * @module
 */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import {
  initCluster,
  type RunningCluster,
  startCluster,
  urlOfCluster,
} from '../postgres-cluster.ts'
import { type Pair, startPair } from './pair.ts'
import { Trace, type WriteCall } from './strace.ts'
import { round, say } from './workload.ts'

const backendCalls = ['pwrite64', 'fdatasync'] as const

/** A cluster that is made to fail. */
class Cluster {
  readonly #folder = mkdtempSync(join(tmpdir(), 'hansa-cluster-'))
  #running: RunningCluster | undefined

  get url(): string {
    return urlOfCluster(this.#folder)
  }

  async start(): Promise<void> {
    // What is left of one that was killed may need a moment to end.
    for (let tries = 0; ; tries += 1) {
      try {
        this.#running = await startCluster(this.#folder)
        return
      } catch (error) {
        if (tries === startTries) throw error
        await sleep(startPauseMs)
      }
    }
  }

  async make(): Promise<void> {
    initCluster(this.#folder)
    await this.start()
  }

  /** The process behind the connection that writes for a Hansa, or behind one that reads. */
  async backend(kind: 'writer' | 'reader'): Promise<number> {
    const client = new Client(this.url)
    await client.connect()
    try {
      const { rows } = await client.query<{ pid: number; writes: boolean }>(
        `SELECT pid, pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory') AS writes
         FROM pg_stat_activity WHERE application_name = 'hansa'`,
      )
      const found = rows.find(({ writes }) => writes === (kind === 'writer'))
      if (found === undefined) throw new Error(`there is no ${kind}`)
      return found.pid
    } finally {
      await client.end()
    }
  }

  async kill(signal: NodeJS.Signals): Promise<void> {
    this.#running?.kill(signal)
    await this.#running?.ended
  }

  async end(): Promise<void> {
    await this.kill('SIGQUIT')
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

const startTries = 40
const startPauseMs = 250

interface Fault {
  readonly name: string
  /** Whether the server may end by it, to be started again: it does if it has to write meanwhile. */
  readonly mayEnd: boolean
  /** Calls `begin` when work is to begin. Gives whether it came about. */
  befall(cluster: Cluster, begin: () => Promise<unknown>): Promise<boolean>
}

function killedAtCall(call: WriteCall, count: number): Fault {
  return {
    name: `writer/${call}:${count}:kill`,
    mayEnd: false,
    befall: async (cluster, begin) => {
      const pid = await cluster.backend('writer')
      const trace = await Trace.attach(pid, [call], { call, count, act: 'kill' })
      void begin()
      await Promise.race([trace.ended, sleep(callMsMax)])
      await trace.detach()
      return await hasEnded(pid)
    },
  }
}

function killedAnyTime(kind: 'writer' | 'reader'): Fault {
  return {
    name: `${kind}/any:kill`,
    mayEnd: false,
    befall: async (cluster, begin) => {
      await begin()
      return process.kill(await cluster.backend(kind), 'SIGKILL')
    },
  }
}

function away(signal: NodeJS.Signals, ms: number): Fault {
  return {
    name: `all/${signal === 'SIGQUIT' ? 'immediate' : 'killed'}:away for ${ms} ms`,
    mayEnd: ms > waitedMs,
    befall: async (cluster, begin) => {
      await begin()
      await cluster.kill(signal)
      await sleep(ms)
      await cluster.start()
      return true
    },
  }
}

const callMsMax = 20_000
/** How long a server tries to reach a database that it has lost. */
const waitedMs = 31_000

const faults: readonly Fault[] = [
  ...backendCalls.flatMap((call) => [1, 2, 5].map((count) => killedAtCall(call, count))),
  ...[killedAnyTime('writer'), killedAnyTime('reader')],
  ...[0, 1000, 5000, 45_000].map((ms) => away('SIGQUIT', ms)),
  ...[0, 1000].map((ms) => away('SIGKILL', ms)),
]

export interface ClusterOptions {
  readonly words: readonly string[]
  readonly endMs: number
  /** When in a round something is to befall it, as a part of one. */
  fraction(): number
  tell(line: string): void
}

/** Lets each of them befall a server that works, in an order of chance. Gives whether all is well. */
export async function runClusterFaults(options: ClusterOptions): Promise<boolean> {
  const { words, tell } = options
  const chosen = faults
    .filter(({ name }) => words.length === 0 || words.some((word) => name.includes(word)))
    .map((fault) => ({ fault, place: options.fraction() }))
    .toSorted((one, other) => one.place - other.place)
  const counts = { passed: 0, FAILED: 0, 'NOT REACHED': 0 }
  const cluster = new Cluster()
  await cluster.make()
  let pair: Pair = await startPair('postgres', { cluster: cluster.url })
  for (const [index, { fault }] of chosen.entries()) {
    if (performance.now() > options.endMs) break
    const startMs = performance.now()
    let word: keyof typeof counts
    let rest = ''
    try {
      const hasBefallen = await befallen(pair, {
        fault,
        cluster,
        index,
        afterMs: options.fraction() * afterMsMax,
      })
      word = hasBefallen ? 'passed' : 'NOT REACHED'
      rest = `, ${pair.mortal.restarts} restarts`
    } catch (error) {
      word = 'FAILED'
      rest = `\n${String(error)}\n${pair.mortal.process.logTail()}`
      await pair.mortal.disarm().catch(() => {})
      await pair.end()
      pair = await startPair('postgres', { cluster: cluster.url })
    }
    counts[word] += 1
    tell(`cluster ${fault.name}: ${word}, ${Math.round(performance.now() - startMs)} ms${rest}`)
  }
  await pair.end()
  await cluster.end()
  tell(
    `cluster: ${Object.entries(counts)
      .map(([word, sum]) => `${sum} ${word}`)
      .join(', ')}`,
  )
  return counts.FAILED === 0 && counts['NOT REACHED'] === 0
}

/** A round begins, and goes on, whatever happens, within this time. */
const afterMsMax = 1500

interface Befalling {
  readonly fault: Fault
  readonly cluster: Cluster
  readonly index: number
  readonly afterMs: number
}

async function befallen(pair: Pair, befalling: Befalling): Promise<boolean> {
  const { fault, cluster, index, afterMs } = befalling
  const { mortal } = pair
  mortal.restarts = 0
  mortal.watch()
  // Whose connection for writing was lost in the last round has none before it writes again.
  await say(pair.alice, pair.roomId, `before ${fault.name} ${index}`)
  let working: Promise<void> | undefined
  const begin = async () => {
    working = round(pair, `${fault.name.replaceAll('/', ' ')} ${index}`)
    working.catch(() => {})
    await sleep(afterMs)
  }
  const hasBefallen = await fault.befall(cluster, begin)
  await working
  await mortal.disarm()
  if (!fault.mayEnd && mortal.restarts > 0) {
    throw new Error(`the server was started again ${mortal.restarts} times`)
  }
  return hasBefallen
}

/** Whether a process is gone: one that was killed is there until PostgreSQL has seen it. */
async function hasEnded(pid: number): Promise<boolean> {
  for (let tries = 0; tries < startTries; tries += 1) {
    try {
      process.kill(pid, 0)
    } catch {
      return true
    }
    await sleep(startPauseMs)
  }
  return false
}
