/**
 * The machine of a real server.
 *
 * @module
 */

import { statfs } from 'node:fs/promises'
import { totalmem } from 'node:os'
import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import { getHeapStatistics } from 'node:v8'
import type { Machine } from './machine.ts'

/** How often the lag is measured; that long, a timer that is on time takes. */
const resolutionMs = 10
const nsPerMs = 1e6
const usPerMs = 1e3

export function realMachine(): Machine {
  const delays = monitorEventLoopDelay({ resolution: resolutionMs })
  delays.enable()
  let last = { atMs: performance.now(), cpuMs: threadCpuMs() }
  return {
    steadyMs: 0,
    threadLoad: () => {
      const lagMs = Math.max(0, delays.percentile(99) / nsPerMs - resolutionMs)
      delays.reset()
      const now = { atMs: performance.now(), cpuMs: threadCpuMs() }
      const passedMs = Math.max(now.atMs - last.atMs, 1)
      const busy = Math.min((now.cpuMs - last.cpuMs) / passedMs, 1)
      last = now
      return { lagMs, busy }
    },
    cpuMs: threadCpuMs,
    memoryShare: () => {
      const heap = getHeapStatistics()
      const constrained = process.constrainedMemory()
      const memory = constrained > 0 ? Math.min(constrained, totalmem()) : totalmem()
      return Math.max(
        heap.used_heap_size / heap.heap_size_limit,
        process.memoryUsage.rss() / memory,
      )
    },
    diskSpace: async (folder) => {
      try {
        const { bsize, bavail, blocks } = await statfs(folder)
        return { freeBytes: bavail * bsize, totalBytes: blocks * bsize }
      } catch {
        return undefined
      }
    },
  }
}

/** The processor time that this thread has used. */
function threadCpuMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / usPerMs
}
