/**
 * Leaving servers alone that do not answer: for 15 seconds first, then twice as long each time, up
 * to six hours, and never longer. Any sign of life ends it at once: an answer to something we asked
 * all the same, or a request that is proved to come from that server. Who says for how long they want
 * to be left alone is left alone for as long, within the same bound.
 *
 * What is known is in memory, and in the store so that it outlives a restart.
 *
 * @module
 */

import { LRUCache } from 'lru-cache'
import type { Clock } from '#io/clock.ts'
import type { Log } from '#io/log.ts'
import type { Random } from '#io/random.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import type { Database } from '#storage/database.ts'
import { clearFailure, failingDestinations, saveFailure } from '#storage/destinations.ts'

export interface BackOffNeeds {
  readonly db: Database
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

export interface RetryTimes {
  readonly minMs: number
  readonly maxMs: number
}

export const usualRetryTimes: RetryTimes = { minMs: 15_000, maxMs: 6 * 3_600_000 }

/** A server that fails us. */
export interface Failing {
  readonly sinceTs: number
  /** When it may be asked again, on the monotonic clock. */
  readonly retryAtMs: number
  readonly intervalMs: number
  readonly reason: string
}

export interface BackOff {
  /** No server is left alone for longer, whatever it asks for; jitter aside. */
  readonly longestMs: number
  /** What is known of a server's failures; `undefined` for one that does well. */
  failing(server: ServerName): Failing | undefined
  /** How long to wait before asking a server again; 0 if it may be asked. */
  waitMs(server: ServerName): number
  /** A server did not answer, or said that it cannot, perhaps for how long it is to be left alone. */
  failed(server: ServerName, reason: string, askedMs?: number): void
  /** A server did something. */
  signOfLife(server: ServerName): void
  /** Calls `listener` for each server whose failures are over. */
  onReturn(listener: (server: ServerName) => void): void
}

/** Pauses are shortened or lengthened by as much, so that servers do not come in step. */
const jitter = 0.2
/** How many failing servers are remembered; the one that failed longest ago is forgotten. */
const serversMax = 50_000
const reasonLengthMax = 500

/** Starts with what is stored. */
export async function createBackOff(
  needs: BackOffNeeds,
  times: RetryTimes = usualRetryTimes,
): Promise<BackOff> {
  const { db, clock, random, log } = needs
  const listeners: ((server: ServerName) => void)[] = []
  const write = (collect: Parameters<Database['write']>[0]) => {
    db.write(collect).catch((error: unknown) => log.error('back-off is not stored', { error }))
  }
  const servers = new LRUCache<ServerName, Failing>({
    maxSize: serversMax,
    sizeCalculation: () => 1,
    dispose: (_, server, why) => {
      if (why === 'evict') write((tx) => clearFailure(tx, server))
    },
  })
  for (const stored of await failingDestinations(db)) {
    const intervalMs = Math.min(stored.retry_interval_ms, times.maxMs)
    // The clock may have jumped while nobody looked.
    const leftMs = Math.min(
      Math.max(stored.retry_at_ts - clock.now(), 0),
      intervalMs * (1 + jitter),
    )
    const retryAtMs = clock.monotonicMs() + leftMs
    const { failing_since_ts: sinceTs, reason } = stored
    servers.set(stored.destination, { sinceTs, retryAtMs, intervalMs, reason })
  }

  const failed: BackOff['failed'] = (server, reason, askedMs = 0) => {
    const last = servers.get(server)
    // Requests that were sent before the pause began fail in it: they say nothing new.
    if (last !== undefined && clock.monotonicMs() < last.retryAtMs) return
    const intervalMs = last === undefined ? times.minMs : Math.min(2 * last.intervalMs, times.maxMs)
    const usualMs = Math.round(intervalMs * (1 - jitter + 2 * jitter * random.fraction()))
    const pauseMs = Math.max(usualMs, Math.min(askedMs, times.maxMs))
    const sinceTs = last?.sinceTs ?? clock.now()
    const short = reason.slice(0, reasonLengthMax)
    servers.set(server, {
      sinceTs,
      retryAtMs: clock.monotonicMs() + pauseMs,
      intervalMs,
      reason: short,
    })
    log.info('a server does not answer', { server, reason: short, pauseMs })
    write((tx) =>
      saveFailure(tx, {
        destination: server,
        failing_since_ts: sinceTs,
        retry_at_ts: clock.now() + pauseMs,
        retry_interval_ms: intervalMs,
        reason: short,
      }),
    )
  }

  return {
    longestMs: times.maxMs,
    failing: (server) => servers.peek(server),
    waitMs(server) {
      const known = servers.peek(server)
      return known === undefined ? 0 : Math.max(0, known.retryAtMs - clock.monotonicMs())
    },
    failed,
    signOfLife(server) {
      if (!servers.delete(server)) return
      log.info('a server answers again', { server })
      write((tx) => clearFailure(tx, server))
      for (const listener of listeners) listener(server)
    },
    onReturn: (listener) => listeners.push(listener),
  }
}
