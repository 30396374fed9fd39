/**
 * Looks at a server from inside, where other programs that use the processors cannot be seen: it is
 * loaded by the server's process before the server is. SIGUSR2 makes it write what it saw since the last
 * one into the file that `OVERLOAD_PROBE` names. `OVERLOAD_HONEST` is the address of the honest server.
 *
 * @module
 */

import { subscribe } from 'node:diagnostics_channel'
import { renameSync, writeFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { isMainThread } from 'node:worker_threads'

/** All in milliseconds. */
export interface Seen {
  /** How late timers came that are due every two milliseconds. */
  readonly late: readonly number[]
  /** The processor time that the main thread used between two of them: how long others wait for it. */
  readonly slices: readonly number[]
  /** Messages of users, from the head of the request to the end of the answer. */
  readonly sends: readonly number[]
  /** The processor time that the main thread used meanwhile, for whomever. */
  readonly sendsCpu: readonly number[]
  /** The same of events of the honest server, from the head of their transaction to the end of its answer. */
  readonly arrivalsCpu: readonly number[]
  /** The processor time of the main thread, and of all of the process. */
  readonly threadMs: number
  readonly processMs: number
}

const everyMs = 2
const usPerMs = 1000

function empty() {
  return {
    late: [] as number[],
    slices: [] as number[],
    sends: [] as number[],
    sendsCpu: [] as number[],
    arrivalsCpu: [] as number[],
  }
}

function usedMs({ user, system }: { readonly user: number; readonly system: number }): number {
  return (user + system) / usPerMs
}

type Kind = 'send' | 'arrival'

/** Which of the honest traffic a request is, if it is. */
function kindOf({ url = '', headers }: IncomingMessage, honestHost: string): Kind | undefined {
  if (/^\/_matrix\/client\/v3\/rooms\/[^/]+\/send\//.test(url)) return 'send'
  const isHonest = headers.authorization?.includes(`origin="${honestHost}:`) === true
  return isHonest && url.startsWith('/_matrix/federation/v1/send/') ? 'arrival' : undefined
}

function watch(file: string, honestHost: string): void {
  const now = () => ({ atMs: performance.now(), cpuMs: usedMs(process.threadCpuUsage()) })
  let seen = empty()
  let last = now()
  let since = { threadMs: last.cpuMs, processMs: usedMs(process.cpuUsage()) }
  setInterval(() => {
    const tick = now()
    seen.late.push(Math.max(0, tick.atMs - last.atMs - everyMs))
    seen.slices.push(tick.cpuMs - last.cpuMs)
    last = tick
  }, everyMs).unref()
  const begun = new WeakMap<ServerResponse, ReturnType<typeof now> & { readonly kind: Kind }>()
  subscribe('http.server.request.start', (message) => {
    const { request, response } = message as { request: IncomingMessage; response: ServerResponse }
    const kind = kindOf(request, honestHost)
    if (kind !== undefined) begun.set(response, { kind, ...now() })
  })
  subscribe('http.server.response.finish', (message) => {
    const { response } = message as { response: ServerResponse }
    const start = begun.get(response)
    if (start === undefined) return
    const end = now()
    const usedCpuMs = end.cpuMs - start.cpuMs
    if (start.kind === 'arrival') {
      seen.arrivalsCpu.push(usedCpuMs)
      return
    }
    seen.sends.push(end.atMs - start.atMs)
    seen.sendsCpu.push(usedCpuMs)
  })
  process.on('SIGUSR2', () => {
    const used = {
      threadMs: usedMs(process.threadCpuUsage()),
      processMs: usedMs(process.cpuUsage()),
    }
    const told: Seen = {
      ...seen,
      threadMs: used.threadMs - since.threadMs,
      processMs: used.processMs - since.processMs,
    }
    // Whoever waits for the file finds all of it.
    writeFileSync(`${file}.new`, JSON.stringify(told))
    renameSync(`${file}.new`, file)
    seen = empty()
    since = used
  })
}

const { OVERLOAD_PROBE: file, OVERLOAD_HONEST: honestHost } = process.env
if (isMainThread && file !== undefined && honestHost !== undefined) watch(file, honestHost)
