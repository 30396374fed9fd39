/**
 * What a process asks of the kernel, watched and changed by strace: one thread of it is attached to while
 * it runs, and calls of one kind are counted, kill it, or fail.
 *
 * Counts are of a kind of call and of a thread, since that is how strace counts.
 *
 * @module
 */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'

export const strace = '/usr/bin/strace'

/** Calls that change what is on a disk, or what others are told. */
export const writeCalls = [
  ...['write', 'writev', 'pwrite64', 'pwritev', 'fsync', 'fdatasync', 'ftruncate', 'fallocate'],
  ...['rename', 'renameat', 'renameat2', 'unlink', 'unlinkat', 'mkdir', 'mkdirat', 'rmdir'],
] as const
export type WriteCall = (typeof writeCalls)[number]

/** Threads of a Hansa that write: to its clients and peers, to its database, to its other files. */
export const threadNames = ['main', 'writer', 'files'] as const
export type ThreadName = (typeof threadNames)[number]

/** Makes a Hansa do all work with files on one thread, so that it can be attached to. */
export const oneFileThread = { UV_THREADPOOL_SIZE: '1' } as const

/** Why nothing can be traced here, if so. */
export function reasonNotToTrace(): string | undefined {
  if (!existsSync(strace)) return 'strace is not installed (the package `strace` of Debian)'
  const { status, stderr } = spawnSync(strace, ['-o', '/dev/null', '/bin/true'], {
    encoding: 'utf8',
  })
  return status === 0 ? undefined : `processes may not be traced here: ${stderr.trim()}`
}

/** The number of a thread of a Hansa, by what the thread does. */
export function threadOf(pid: number, name: ThreadName): number {
  if (name === 'main') return pid
  const word = name === 'writer' ? 'sqlite-writer' : 'libuv-worker'
  const threads = readdirSync(`/proc/${pid}/task`)
    .map(Number)
    .toSorted((one, other) => one - other)
  const found = threads.find(
    (thread) => readFileSync(`/proc/${pid}/task/${thread}/comm`, 'utf8').trim() === word,
  )
  if (found === undefined) throw new Error(`process ${pid} has no thread ${word}`)
  return found
}

export type Errno = 'ENOSPC' | 'EIO'

/** What is to happen to a call of one kind: to the `count`th, and with `isForGood` to all after it. */
export interface Injection {
  readonly call: WriteCall
  readonly count: number
  readonly act: 'kill' | Errno
  readonly isForGood?: boolean
}

export function injectionFlag({ call, count, act, isForGood = false }: Injection): string {
  const what = act === 'kill' ? 'signal=KILL' : `error=${act}`
  return `--inject=${call}:${what}:when=${count}${isForGood ? '+' : ''}`
}

/** The calls that strace has written down, of one thread. */
export class SeenCalls {
  readonly #lines: string

  constructor(lines: string) {
    this.#lines = lines
  }

  /** Of one kind of call, each in its order, with what it was of. */
  of(call: WriteCall): string[] {
    return this.#lines.match(new RegExp(`^[0-9.]+ +${call}\\(.*`, 'gm')) ?? []
  }
}

const attachMsMax = 20_000

/** A thread that is watched. */
export class Trace {
  readonly #child: ChildProcess
  /** Resolves when the thread has ended, or was let go. */
  readonly ended: Promise<void>
  #lines = ''

  private constructor(child: ChildProcess) {
    this.#child = child
    this.ended = new Promise((resolve) => child.once('close', () => resolve()))
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#lines += text
    })
  }

  /** Attaches to a thread. What it asks for after this resolves is seen. */
  static async attach(
    thread: number,
    calls: readonly WriteCall[],
    injection?: Injection,
  ): Promise<Trace> {
    const flags = injection === undefined ? [] : [injectionFlag(injection)]
    // Paths of descriptors are shown; what is written is not.
    const args = ['-y', '-ttt', '-s', '0', '-e', `trace=${calls.join()}`, ...flags]
    const child = spawn(strace, [...args, '-p', String(thread)], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    const trace = new Trace(child)
    const end = performance.now() + attachMsMax
    while (!trace.#lines.includes(' attached')) {
      if (child.exitCode !== null || performance.now() > end) {
        throw new Error(`strace did not attach: ${trace.#lines}`)
      }
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    return trace
  }

  /** Lets the thread go, if it is still there. */
  async detach(): Promise<void> {
    this.#child.kill('SIGTERM')
    await this.ended
  }

  /** What was seen. */
  calls(): SeenCalls {
    return new SeenCalls(this.#lines)
  }

  /** When the first call failed as it was told to, in milliseconds since 1970. */
  get failedAtMs(): number | undefined {
    const seconds = /^([0-9.]+) .*\(INJECTED\)/m.exec(this.#lines)?.[1]
    return seconds === undefined ? undefined : Number(seconds) * 1000
  }

  /** The call that failed first, with what it was of. */
  get failed(): string | undefined {
    return /^[0-9.]+ (.*\(INJECTED\))/m.exec(this.#lines)?.[1]
  }
}
