/**
 * Looks at a server from inside, where other programs that use the processors cannot be seen: it is
 * loaded by the server's process before the server is. SIGUSR2 makes it write what it saw since the last
 * one into the file that `OVERLOAD_PROBE` names.
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
  }
}

function usedMs({ user, system }: { readonly user: number; readonly system: number }): number {
  return (user + system) / usPerMs
}

function watch(file: string): void {
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
  const begun = new WeakMap<ServerResponse, ReturnType<typeof now>>()
  subscribe('http.server.request.start', (message) => {
    const { request, response } = message as { request: IncomingMessage; response: ServerResponse }
    const isSend = /^\/_matrix\/client\/v3\/rooms\/[^/]+\/send\//.test(request.url ?? '')
    if (isSend) begun.set(response, now())
  })
  subscribe('http.server.response.finish', (message) => {
    const { response } = message as { response: ServerResponse }
    const start = begun.get(response)
    if (start === undefined) return
    const end = now()
    seen.sends.push(end.atMs - start.atMs)
    seen.sendsCpu.push(end.cpuMs - start.cpuMs)
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

const { OVERLOAD_PROBE: file } = process.env
if (isMainThread && file !== undefined) watch(file)
