/**
 * Whether one of our users is online, by what their devices do.
 *
 * A device that syncs is connected until some time after its request has ended. A user whose devices
 * are all gone is offline; one who has done nothing for a while is unavailable.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#presence
 *
 * @module
 */

import type { Clock, Timer } from '#io/clock.ts'
import type { PresenceWord } from './presence-state.ts'

/** How long a device stays connected after a request. Synapse uses the same. */
const graceMs = 30_000
/** After this time without activity a user is unavailable: that of the spec's example. */
const idleMs = 5 * 60_000
/** So many changes of one user are told within this time; what comes after that is held back. */
const toldMax = 5
const toldWithinMs = 50_000
/** Who is online is told again after this time: others forget after half an hour. */
const toldAgainMs = 25 * 60_000
/** Devices of a user that count. */
const devicesMax = 100

/** What others are told. */
export interface Told {
  readonly presence: PresenceWord
  readonly statusMsg: string | undefined
}

export class LocalPresence {
  readonly #clock: Pick<Clock, 'now' | 'monotonicMs' | 'after'>
  readonly #tell: (told: Told) => void
  readonly #devices = new Map<string, { readonly word: PresenceWord; readonly untilMs: number }>()
  #isIdleByHand = false
  #lastActiveMs = Number.NEGATIVE_INFINITY
  #lastActiveTs: number | undefined
  #statusMsg: string | undefined
  #told: Told
  /** When others were told, the latest last; no more than `toldMax`. */
  readonly #toldMs: number[] = []
  #timer: Timer | undefined

  /** `tell` is called with each change that others are to be told. */
  constructor(
    clock: Pick<Clock, 'now' | 'monotonicMs' | 'after'>,
    statusMsg: string | undefined,
    tell: (told: Told) => void,
  ) {
    this.#clock = clock
    this.#statusMsg = statusMsg
    this.#told = { presence: 'offline', statusMsg }
    this.#tell = tell
  }

  get lastActiveTs(): number | undefined {
    return this.#lastActiveTs
  }

  /** Whether nothing is to be kept of it. */
  get isOver(): boolean {
    return this.#devices.size === 0 && this.#timer === undefined
  }

  /** A device syncs, for at most `timeoutMs`. */
  sync(deviceId: string, word: PresenceWord, timeoutMs: number): void {
    if (word === 'offline') this.#devices.delete(deviceId)
    else {
      // To come online is to do something.
      if (this.#word() === 'offline') this.#noteActivity()
      this.#connect(deviceId, word, timeoutMs + graceMs)
    }
    this.#settle()
  }

  /** The user does something that others see. */
  act(): void {
    this.#noteActivity()
    this.#isIdleByHand = false
    this.#settle()
  }

  /** The user says how they are, on a device, which counts as one that syncs for a while. */
  set(deviceId: string, word: PresenceWord, statusMsg: string | undefined): void {
    this.#noteActivity()
    this.#statusMsg = statusMsg
    this.#isIdleByHand = word === 'unavailable'
    if (word === 'offline') this.#devices.clear()
    else this.#connect(deviceId, 'online', idleMs)
    this.#settle()
  }

  end(): void {
    this.#timer?.cancel()
  }

  #noteActivity(): void {
    this.#lastActiveMs = this.#clock.monotonicMs()
    this.#lastActiveTs = this.#clock.now()
  }

  #connect(deviceId: string, word: PresenceWord, durationMs: number): void {
    const untilMs = this.#clock.monotonicMs() + durationMs
    this.#devices.delete(deviceId)
    this.#devices.set(deviceId, { word, untilMs })
    for (const oldest of this.#devices.keys()) {
      if (this.#devices.size <= devicesMax) break
      this.#devices.delete(oldest)
    }
  }

  #word(): PresenceWord {
    const nowMs = this.#clock.monotonicMs()
    const words = [...this.#devices.values()].filter(({ untilMs }) => untilMs > nowMs)
    if (words.length === 0) return 'offline'
    const isActive = !this.#isIdleByHand && nowMs - this.#lastActiveMs < idleMs
    return isActive && words.some(({ word }) => word === 'online') ? 'online' : 'unavailable'
  }

  /** Tells what has changed, or sees to it that it is told in time. */
  #settle(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    const nowMs = this.#clock.monotonicMs()
    for (const [deviceId, { untilMs }] of this.#devices) {
      if (untilMs <= nowMs) this.#devices.delete(deviceId)
    }
    const presence = this.#word()
    const { presence: before, statusMsg } = this.#told
    const isChanged = presence !== before || this.#statusMsg !== statusMsg
    const isDue = isChanged || (presence !== 'offline' && nowMs >= this.#againMs())
    const isTold = isDue && nowMs >= this.#freeMs()
    if (isTold) {
      this.#told = { presence, statusMsg: this.#statusMsg }
      this.#toldMs.push(nowMs)
      if (this.#toldMs.length > toldMax) this.#toldMs.shift()
      this.#tell(this.#told)
    }
    this.#wakeAt(this.#nextMs(isDue && !isTold))
  }

  /** When others may be told the next time. */
  #freeMs(): number {
    const [first = Number.NEGATIVE_INFINITY] = this.#toldMs
    return this.#toldMs.length < toldMax ? Number.NEGATIVE_INFINITY : first + toldWithinMs
  }

  /** When others are to be told again. */
  #againMs(): number {
    return (this.#toldMs.at(-1) ?? Number.NEGATIVE_INFINITY) + toldAgainMs
  }

  /** When something may change by itself, or may be told that was held back. */
  #nextMs(isHeldBack: boolean): number | undefined {
    const moments = [...this.#devices.values()].map(({ untilMs }) => untilMs)
    if (isHeldBack) moments.push(this.#freeMs())
    if (this.#devices.size > 0) moments.push(this.#againMs())
    if (this.#word() === 'online') moments.push(this.#lastActiveMs + idleMs)
    return moments.length === 0 ? undefined : Math.min(...moments)
  }

  #wakeAt(moment: number | undefined): void {
    if (moment === undefined || !Number.isFinite(moment)) return
    const delayMs = Math.max(1, moment - this.#clock.monotonicMs())
    this.#timer = this.#clock.after(delayMs, () => this.#settle())
  }
}
