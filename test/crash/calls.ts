/**
 * All that processes ask of their disk, as strace writes it down: with the bytes they write, the files they
 * write them to, and when.
 *
 * @module
 */

import { closeSync, createReadStream, existsSync, fstatSync, openSync, readSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { strace } from './strace.ts'

/** All by which a file, or the name of one, is made, changed, removed or made durable. */
const tracedCalls = [
  ...['write', 'pwrite64', 'writev', 'pwritev', 'ftruncate', 'fallocate', 'copy_file_range'],
  ...['fsync', 'fdatasync', 'openat', 'mkdir', 'rename', 'link', 'symlink', 'unlink', 'rmdir'],
  ...['?renameat', '?renameat2', '?unlinkat', '?mkdirat', '?linkat', '?open', '?sync_file_range'],
]
/** More than any process writes at once. */
const bytesMax = 100_000_000
/** How long strace has to end after its process. */
const endMsMax = 60_000

/** The command line that stands before one of which each call is to be written to `file`. */
export function straceTo(file: string, calls: readonly string[] = tracedCalls): string[] {
  return [
    // The process is the child of who starts it, not of strace; its threads and children are followed.
    ...[strace, '-D', '-f', '--seccomp-bpf', '-q', '-e', 'signal=none'],
    // Paths beside descriptors, times with their durations, all texts in hexadecimal.
    ...['-y', '-ttt', '-T', '-xx', '-s', String(bytesMax)],
    ...['-e', `trace=${calls.join(',')}`, '-o', file],
  ]
}

export interface Call {
  readonly thread: number
  readonly name: string
  /** Seconds of the time of day. */
  readonly startS: number
  readonly endS: number
  /** The number that came back; -1 for an error. */
  readonly result: number
  /** Of the descriptor that comes first, if one does. */
  readonly descriptor: number | undefined
  /** The path of that descriptor, or `socket:[…]` and the like. */
  readonly path: string | undefined
  /** The texts among the arguments: other paths, or what is written. */
  readonly texts: readonly Buffer[]
  /** The arguments without these texts. */
  readonly rest: string
}

const linePattern = /^(\d+) +(\d+\.\d+) (.*)$/s
const resumedPattern = /^<\.\.\. (\w+) resumed>(.*)$/s
const callPattern = /^(\w+)\((.*)\)\s+= (-?\d+|\?)(?:.*?<(\d+\.\d+)>)?$/s
const unfinished = ' <unfinished ...>'

/** Reads what was written down, in the order in which the calls ended. Calls that never did are left out. */
export async function* readCalls(file: string): AsyncGenerator<Call> {
  const begun = new Map<string, { readonly text: string; readonly startS: number }>()
  for await (const line of createInterface({ input: createReadStream(file, 'latin1') })) {
    const [, thread = '', time = '', text = ''] = linePattern.exec(line) ?? []
    if (text.endsWith(unfinished)) {
      const beginning = text.slice(0, -unfinished.length)
      begun.set(thread, { text: beginning, startS: Number(time) })
      continue
    }
    const resumed = resumedPattern.exec(text)
    const beginning = resumed === null ? undefined : begun.get(thread)
    const whole = resumed === null ? text : `${beginning?.text ?? `${resumed[1]}(`}${resumed[2]}`
    const call = callOf(whole, Number(thread), beginning?.startS ?? Number(time))
    if (call !== undefined) yield call
  }
}

function callOf(text: string, thread: number, startS: number): Call | undefined {
  const [, name, args, result, duration] = callPattern.exec(text) ?? []
  if (name === undefined || args === undefined || result === '?') return undefined
  const [, descriptor, path] = /^(\d+)<([^>]*)>/.exec(args) ?? []
  const texts: Buffer[] = []
  const rest = args.replaceAll(/"((?:\\x[0-9a-f]{2})*)"/g, (_, hex: string) => {
    texts.push(unescaped(hex))
    return '""'
  })
  return {
    ...{ thread, name, startS, texts, rest, result: Number(result) },
    endS: startS + Number(duration ?? 0),
    descriptor: descriptor === undefined ? undefined : Number(descriptor),
    path: path === undefined ? undefined : unescaped(path).toString(),
  }
}

function unescaped(text: string): Buffer {
  if (!text.startsWith('\\x')) return Buffer.from(text)
  return Buffer.from(text.replaceAll('\\x', ''), 'hex')
}

/** Waits until all is written down of a process that has ended. */
export async function traceEnded(file: string): Promise<void> {
  const end = performance.now() + endMsMax
  while (!hasEnded(file)) {
    if (performance.now() > end) throw new Error(`${file} does not end`)
    await sleep(20)
  }
}

/** The end of the first thread is that of the process, and comes last. */
function hasEnded(file: string): boolean {
  if (!existsSync(file)) return false
  const opened = openSync(file, 'r')
  try {
    const [head, tail] = [Buffer.alloc(16), Buffer.alloc(400)]
    readSync(opened, head, 0, head.length, 0)
    readSync(opened, tail, 0, tail.length, Math.max(0, fstatSync(opened).size - tail.length))
    const [thread] = head.toString().split(' ')
    return (
      tail.toString('latin1').includes(`\n${thread} `) &&
      /\+\+\+\s*\0*$/.test(tail.toString('latin1'))
    )
  } finally {
    closeSync(opened)
  }
}
