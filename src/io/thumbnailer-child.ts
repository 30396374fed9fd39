/**
 * Thumbnails from a process of its own, which is started when there is one to make, and ended when it
 * takes too long or has nothing to do.
 *
 * @module
 */

import { type ChildProcess, fork } from 'node:child_process'
import { constants, setPriority } from 'node:os'
import {
  type ThumbnailAnswer,
  type Thumbnailer,
  type ThumbnailRequest,
  tooLargeExitCode,
} from './thumbnailer.ts'

/** From the request to the answer; the process itself gives up a little earlier. */
const answerMsMax = 15_000
const idleMsMax = 60_000
/** How many may wait for their turn. */
const waitingMax = 100

interface Waiting {
  readonly request: ThumbnailRequest
  readonly settle: PromiseWithResolvers<ThumbnailAnswer>
}

export function thumbnailerChild(): Thumbnailer {
  const waiting: Waiting[] = []
  let child: ChildProcess | undefined
  let timer: NodeJS.Timeout | undefined
  let current: Waiting | undefined
  const end = () => {
    child?.kill('SIGKILL')
    child = undefined
  }
  const answer = (given: ThumbnailAnswer) => {
    clearTimeout(timer)
    current?.settle.resolve(given)
    current = undefined
    next()
  }
  const next = () => {
    if (current !== undefined) return
    current = waiting.shift()
    if (current === undefined) {
      timer = setTimeout(end, idleMsMax).unref()
      return
    }
    child ??= start(answer, (ended, code) => {
      if (child !== ended) return
      child = undefined
      // It died of this one, or could not start at all.
      answer({ kind: code === tooLargeExitCode ? 'too-large' : 'unavailable' })
    })
    timer = setTimeout(() => {
      end()
      answer({ kind: 'too-large' })
    }, answerMsMax)
    child.send(current.request)
  }
  return {
    make(request) {
      if (waiting.length >= waitingMax) return Promise.resolve({ kind: 'unavailable' })
      const settle = Promise.withResolvers<ThumbnailAnswer>()
      waiting.push({ request, settle })
      if (current === undefined) clearTimeout(timer)
      next()
      return settle.promise
    },
    async close() {
      clearTimeout(timer)
      for (const { settle } of waiting.splice(0)) settle.resolve({ kind: 'unavailable' })
      current?.settle.resolve({ kind: 'unavailable' })
      current = undefined
      end()
    },
  }
}

function start(
  onAnswer: (answer: ThumbnailAnswer) => void,
  onEnd: (child: ChildProcess, code: number | null) => void,
): ChildProcess {
  const child = fork(new URL('./thumbnailer-process.ts', import.meta.url), {
    // It reads files, and does nothing else to this machine.
    execArgv: ['--permission', '--allow-addons', '--allow-fs-read=*', '--no-warnings'],
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  })
  child.on('message', onAnswer)
  giveWay(child)
  child.on('error', () => onEnd(child, null))
  child.on('exit', (code) => onEnd(child, code))
  // What is under way keeps the server alive anyway.
  child.unref()
  child.channel?.unref()
  return child
}

/** Lets the server have the processors first: nobody waits for a picture as for a message. */
function giveWay({ pid }: ChildProcess): void {
  if (pid === undefined) return
  try {
    setPriority(pid, constants.priority.PRIORITY_BELOW_NORMAL)
  } catch {
    // It has ended already, or the system has no priorities.
  }
}
