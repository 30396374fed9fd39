/**
 * A real Hansa as a process, honest traffic beside it, and the measure of both.
 *
 * @module
 */

import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Certificate } from '../../src/io/certificates.ts'
import type { IncomingAnswer } from '../../src/io/http.ts'
import type { ServerName } from '../../src/protocol/identifiers/ids.ts'
import { prepareHansa } from '../rig/hansa.ts'
import type { ServerProcess } from '../rig/processes.ts'
import { prepareFloor } from './floor.ts'
import type { HonestReport, HonestStart } from './honest.ts'
import { goFirst, launcher, letComputeAfterwards } from './priorities.ts'
import type { Seen } from './probe.ts'

const sampleMs = 200
const probeMsMax = 30_000

const probeFile = (folder: string) => join(folder, 'seen.json')

/** How many answers of which status there were. */
export type Statuses = Map<string, number>

export interface Measured {
  readonly honest: HonestReport
  /** What the server's own process saw of itself. */
  readonly seen: Seen
  readonly tookMs: number
  /** How much memory the process had, in MiB, five times a second. */
  readonly memory: readonly number[]
  /** How large the log of the database was, likewise. */
  readonly walMiB: readonly number[]
}

export class Arena {
  readonly server: ServerProcess
  readonly authority: Certificate
  readonly folder: string
  readonly isFloor: boolean
  readonly #honest: ChildProcess
  readonly #isFirst: boolean

  private constructor(
    server: ServerProcess,
    parts: {
      authority: Certificate
      folder: string
      honest: ChildProcess
      isFirst: boolean
      isFloor: boolean
    },
  ) {
    this.server = server
    this.authority = parts.authority
    this.folder = parts.folder
    this.#honest = parts.honest
    this.#isFirst = parts.isFirst
    this.isFloor = parts.isFloor
  }

  static async open(options: {
    folder: string
    authority: Certificate
    host: string
    honestHost: string
    nodeFlags?: readonly string[]
    logFile?: string
    /** Whether the server and its honest users go before all other programs. */
    isFirst?: boolean
    /** What starts the server, as words before its command. */
    launcher?: readonly string[]
    /** Whether the server is not Hansa, but the floor. */
    isFloor?: boolean
  }): Promise<Arena> {
    const { folder, honestHost, authority, nodeFlags = [] } = options
    const { isFirst = false, isFloor = false } = options
    mkdirSync(folder, { recursive: true })
    const started = {
      ...options,
      nodeFlags: [...nodeFlags, `--import=${new URL('probe.ts', import.meta.url)}`],
      environment: { OVERLOAD_PROBE: probeFile(folder), OVERLOAD_HONEST: honestHost },
      launcher: [...(options.launcher ?? []), ...(isFirst ? launcher : [])],
    }
    const server = isFloor
      ? await prepareFloor(started)
      : await prepareHansa({ ...started, isLimited: true })
    await server.start()
    const honest = fork(new URL('honest.ts', import.meta.url))
    const start: HonestStart = {
      baseUrl: server.baseUrl,
      serverName: server.serverName as ServerName,
      authority,
      host: honestHost,
      username: 'alice',
    }
    honest.send(start)
    await once(honest, 'message')
    if (isFirst && honest.pid !== undefined) goFirst(honest.pid)
    return new Arena(server, { authority, folder, honest, isFirst, isFloor })
  }

  get name(): ServerName {
    return this.server.serverName as ServerName
  }

  /** What honest traffic meets, and how much memory is used, while something is done. */
  async measure(act: () => Promise<unknown>): Promise<Measured> {
    await this.#report()
    await this.#seen()
    const startMs = performance.now()
    const memory: number[] = []
    const walMiB: number[] = []
    const look = () => {
      memory.push(this.memoryMiB())
      walMiB.push(this.#walMiB())
      if (this.#isFirst) letComputeAfterwards(this.server.pid)
    }
    look()
    const sampling = setInterval(look, sampleMs)
    await act()
    clearInterval(sampling)
    const tookMs = performance.now() - startMs
    return { honest: await this.#report(), seen: await this.#seen(), memory, walMiB, tookMs }
  }

  /** The memory of the process that is in use now. */
  memoryMiB(): number {
    if (this.server.condition !== 'runs') return 0
    const status = readFileSync(join('/proc', String(this.server.pid), 'status'), 'utf8')
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024
  }

  #walMiB(): number {
    const log = statSync(join(this.folder, 'hansa.db-wal'), { throwIfNoEntry: false })
    return (log?.size ?? 0) / 1024 ** 2
  }

  async #report(): Promise<HonestReport> {
    this.#honest.send('report')
    const [report] = await once(this.#honest, 'message')
    return report as HonestReport
  }

  async #seen(): Promise<Seen> {
    const file = probeFile(this.folder)
    rmSync(file, { force: true })
    this.server.signal('SIGUSR2')
    for (let waitedMs = 0; !existsSync(file); waitedMs += sampleMs) {
      if (waitedMs > probeMsMax) throw new Error('the server does not tell what it saw')
      await pause(sampleMs)
    }
    return JSON.parse(readFileSync(file, 'utf8'))
  }

  async close(): Promise<void> {
    this.#honest.kill('SIGKILL')
    await this.server.end()
  }
}

export function count(statuses: Statuses, what: string | number, by = 1): void {
  statuses.set(String(what), (statuses.get(String(what)) ?? 0) + by)
}

/** Does something again and again, so many at a time, until the time is over. */
export async function flood(
  durationMs: number,
  parallel: number,
  act: (at: number) => Promise<IncomingAnswer | { readonly status: number | string }>,
): Promise<Statuses> {
  const statuses: Statuses = new Map()
  const endMs = performance.now() + durationMs
  let at = 0
  const work = async () => {
    while (performance.now() < endMs) {
      at += 1
      try {
        count(statuses, (await act(at)).status)
      } catch (error) {
        count(statuses, `failed (${error instanceof Error ? error.message.slice(0, 40) : error})`)
        await pause(50)
      }
    }
  }
  await Promise.all(Array.from({ length: parallel }, work))
  return statuses
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
