/**
 * What this server does when there is too much for it: it gives up what can best be spared, says so
 * with a time to come back, and goes on by itself when it is over.
 *
 * - The thread: while timers come more than 100 ms late, one more class of requests is refused with 429
 *   every two seconds, the least urgent first, and never those of our own users. From 500 ms on, no new
 *   connections of other servers are taken. Not while the thread hardly works: then it is late because
 *   other programs have the processors, and to refuse something would help nobody.
 * - Memory: from 80 % on caches are emptied, from 90 % on requests are refused as above.
 * - Disks: with less than 10 % free no media of other servers is kept, with less than 5 % nothing is
 *   uploaded and no room joined, and with less than 2 %, or than the reserve, nothing is written: such
 *   requests are answered 503, a transaction of another server never with 200. Reading goes on.
 *
 * @module
 */

import type { Endpoint } from '#http/endpoint.ts'
import type { Clock, Timer } from '#io/clock.ts'
import type { IncomingRequest } from '#io/http.ts'
import type { Log } from '#io/log.ts'
import type { Machine } from '#io/machine.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import { classes, classOf, isFederation, isLarge, isWrite } from './urgency.ts'

export interface PressureNeeds {
  readonly clock: Clock
  readonly machine: Machine
  readonly log: Log
  /** The folders with the database and with files. */
  readonly folders: readonly string[]
  /** With less than this free on a disk, nothing is written. */
  readonly reserveBytes: number
  /** Whether anything is refused while there is too much to do. */
  readonly shedsLoad: boolean
}

/** How full the fullest disk is. */
export const diskLevels = ['free', 'no-remote-media', 'no-uploads', 'no-writes'] as const
export type DiskLevel = (typeof diskLevels)[number]

export interface PressureState {
  readonly lagMs: number
  readonly busy: number
  readonly memoryShare: number
  /** Of the fullest disk, where that is known. */
  readonly freeBytes: number | undefined
  readonly disk: DiskLevel
  /** The classes of requests that are refused at the moment. */
  readonly shed: readonly string[]
  readonly refusesConnections: boolean
}

export interface Pressure {
  /** Throws a `MatrixError` 429 or 503 if a request is to come again later. */
  admit(endpoint: Endpoint, request: Pick<IncomingRequest, 'startsConnection'>): void
  /** Whether there is so much to do that everybody gets no more than their share. */
  readonly isBusy: boolean
  /** Whether what our own users do suffers. */
  readonly isSuffering: boolean
  readonly refusesConnections: boolean
  readonly mayKeepRemoteMedia: boolean
  /** `shrink` is called while there is little memory left: what can be had again is to be let go. */
  onShortage(shrink: () => void): void
  state(): PressureState
  close(): void
}

const loadMs = 2000
const diskMs = 5000
const lag = { shedMs: 100, calmMs: 50, refuseMs: 500 }
const memory = { shrink: 0.8, shed: 0.9 }
/** With less than this share of its time the thread is not late by its own work. */
const ownShare = 0.4
/** Above this share of its time the thread is busy: what one gets, another waits for. */
const busyShare = 0.7
/** Below which shares of free space a disk has which level. */
const freeShares = [0.1, 0.05, 0.02] as const
/** A level is left when there is this much more than it takes to get into it. */
const slack = 1.1
const retryAfterMs = { shed: 10_000, connection: 30_000, disk: 60_000 }

/** Starts to look, now and then. */
export async function watchPressure(needs: PressureNeeds): Promise<Pressure> {
  const pressure = new WatchedPressure(needs)
  await pressure.start()
  return pressure
}

class WatchedPressure implements Pressure {
  readonly #needs: PressureNeeds
  readonly #shrinkers: (() => void)[] = []
  readonly #timers = new Map<string, Timer>()
  #load = { lagMs: 0, busy: 0 }
  #memoryShare = 0
  /** How many classes of requests are refused. */
  #shed = 0
  #refusesConnections = false
  #diskLevel = 0
  #freeBytes: number | undefined
  #isClosed = false

  constructor(needs: PressureNeeds) {
    this.#needs = needs
  }

  async start(): Promise<void> {
    await this.#lookAtDisks()
    const { steadyMs } = this.#needs.machine
    this.#later('load', Math.max(loadMs, steadyMs), async () => this.#lookAtLoad())
    this.#later('disk', Math.max(diskMs, steadyMs), () => this.#lookAtDisks())
  }

  readonly admit: Pressure['admit'] = (endpoint, { startsConnection }) => {
    if (this.#refusesConnections && startsConnection && isFederation(endpoint)) {
      throw later(503, 'M_LIMIT_EXCEEDED', 'This server has too much to do.', 'connection')
    }
    if (endpoint.auth !== 'admin' && classes.indexOf(classOf(endpoint)) < this.#shed) {
      const message = 'This server has too much to do, and more urgent things go first.'
      throw later(429, 'M_LIMIT_EXCEEDED', message, 'shed')
    }
    const level = this.#diskLevel
    if ((level >= 3 && isWrite(endpoint)) || (level >= 2 && isLarge(endpoint))) {
      const message = 'The disk of this server is nearly full.'
      throw later(503, 'M_RESOURCE_LIMIT_EXCEEDED', message, 'disk')
    }
  }

  get isBusy(): boolean {
    return this.#load.busy > busyShare || this.#shed > 0
  }

  get isSuffering(): boolean {
    return this.#shed > 0
  }

  get refusesConnections(): boolean {
    return this.#refusesConnections
  }

  get mayKeepRemoteMedia(): boolean {
    return this.#diskLevel === 0
  }

  onShortage(shrink: () => void): void {
    this.#shrinkers.push(shrink)
  }

  state(): PressureState {
    return {
      ...this.#load,
      memoryShare: this.#memoryShare,
      freeBytes: this.#freeBytes,
      disk: diskLevels[this.#diskLevel] ?? 'free',
      shed: classes.slice(0, this.#shed),
      refusesConnections: this.#refusesConnections,
    }
  }

  close(): void {
    this.#isClosed = true
    for (const timer of this.#timers.values()) timer.cancel()
  }

  #later(name: string, afterMs: number, look: () => Promise<void>): void {
    if (this.#isClosed) return
    const timer = this.#needs.clock.after(afterMs, () => {
      look()
        .catch((error: unknown) => this.#needs.log.error('could not look at the load', { error }))
        .finally(() => this.#later(name, afterMs, look))
    })
    this.#timers.set(name, timer)
  }

  #lookAtLoad(): void {
    const { machine } = this.#needs
    this.#load = machine.threadLoad()
    const { busy } = this.#load
    const lagMs = busy < ownShare ? 0 : this.#load.lagMs
    // A heap may be full of what nobody holds any more: it is short only if it stays so.
    const share = machine.memoryShare()
    const isShortOf = (limit: number) => share >= limit && this.#memoryShare >= limit
    const isFull = isShortOf(memory.shed)
    if (isShortOf(memory.shrink)) for (const shrink of this.#shrinkers) shrink()
    this.#memoryShare = share
    if (!this.#needs.shedsLoad) return
    this.#setShed(lagMs > lag.shedMs || isFull, lagMs < lag.calmMs && share < memory.shed)
    const wasRefusing = this.#refusesConnections
    this.#refusesConnections = lagMs > lag.refuseMs || (wasRefusing && lagMs > lag.shedMs)
    if (wasRefusing === this.#refusesConnections) return
    this.#tell(this.#refusesConnections ? 'refuses new connections' : 'takes connections again')
  }

  #setShed(isTooMuch: boolean, isCalm: boolean): void {
    const before = this.#shed
    if (isTooMuch) this.#shed = Math.min(before + 1, classes.indexOf('users'))
    else if (isCalm) this.#shed = Math.max(before - 1, 0)
    if (before !== this.#shed) this.#tell('sheds what is least urgent')
  }

  async #lookAtDisks(): Promise<void> {
    const spaces = await Promise.all(
      this.#needs.folders.map((folder) => this.#needs.machine.diskSpace(folder)),
    )
    const known = spaces.filter((space) => space !== undefined)
    const before = this.#diskLevel
    const levels = known.map((space) => levelOf(space, this.#needs.reserveBytes, before))
    this.#diskLevel = Math.max(0, ...levels)
    this.#freeBytes = known.length === 0 ? undefined : Math.min(...known.map(freeOf))
    if (before !== this.#diskLevel) this.#tell('looks after its disk')
  }

  #tell(what: string): void {
    const level = this.#diskLevel + this.#shed === 0 ? 'info' : 'warn'
    this.#needs.log[level](`the server ${what}`, { ...this.state() })
  }
}

function levelOf(
  { freeBytes, totalBytes }: { readonly freeBytes: number; readonly totalBytes: number },
  reserveBytes: number,
  before: number,
): number {
  const isBelow = (level: number, bytes: number) =>
    freeBytes < bytes * (before >= level ? slack : 1)
  let level = 0
  for (const [index, share] of freeShares.entries()) {
    if (isBelow(index + 1, share * totalBytes)) level = index + 1
  }
  return isBelow(3, reserveBytes) ? 3 : level
}

function freeOf({ freeBytes }: { readonly freeBytes: number }): number {
  return freeBytes
}

function later(
  status: 429 | 503,
  errcode: 'M_LIMIT_EXCEEDED' | 'M_RESOURCE_LIMIT_EXCEEDED',
  message: string,
  why: keyof typeof retryAfterMs,
): MatrixError {
  const extra = { retry_after_ms: retryAfterMs[why] }
  return new MatrixError(status, errcode, message, { extra })
}
