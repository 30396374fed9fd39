/**
 * What a fetch may cost: events, bytes and time of its own; what is fetched in an hour for a room and for
 * what a server sent us; and what all fetches together hold in memory.
 *
 * A hostile server can name unknown events without end: each answer names ten more.
 *
 * @module
 */

import { LRUCache } from 'lru-cache'
import type { Clock } from '#io/clock.ts'
import type { RoomId, ServerName } from '#protocol/identifiers/ids.ts'

/** What one fetch may cost, at most. */
export const fetchLimits = {
  events: 10_000,
  bytes: 32 * 1024 * 1024,
  timeMs: 60_000,
} as const

/** The same for the whole state of a room. */
export const wholeRoomLimits = {
  events: 2_000_000,
  bytes: 1024 * 1024 * 1024,
  timeMs: 30 * 60_000,
} as const

/**
 * How many bytes of events all fetches together hold in memory, besides the first of each: with little to
 * fetch nobody is behind those with much.
 */
export const heldLimits = { all: 32 * 1024 * 1024, first: 1024 * 1024 } as const

/** How many events are fetched in an hour at most: for one room, and for what one server sent us. */
export const hourlyLimits = { room: 50_000, origin: 200_000 } as const
const hourMs = 3_600_000
/** How many rooms and servers are counted; one that is forgotten begins anew. */
const countedMax = 10_000

/** How much was fetched lately, and for whom, and how much of it is in memory. */
export class FetchQuota {
  readonly #clock: Clock
  /** When what was fetched for a key has been made good. */
  readonly #goodAtMs = new LRUCache<string, number>({
    maxSize: countedMax,
    sizeCalculation: () => 1,
  })

  /** How many bytes are held in memory. */
  #heldBytes = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Holds so many bytes more, if there is room for them. */
  hold(bytes: number): boolean {
    if (this.#heldBytes + bytes > heldLimits.all) return false
    this.#heldBytes += bytes
    return true
  }

  letGo(bytes: number): void {
    this.#heldBytes -= bytes
  }

  /** A key and its limit an hour. */
  isSpent(key: string, limit: number): boolean {
    const perEventMs = hourMs / limit
    return (this.#goodAtMs.get(key) ?? 0) > this.#clock.monotonicMs() + hourMs - perEventMs
  }

  spend(key: string, limit: number, events: number): void {
    const fromMs = Math.max(this.#goodAtMs.get(key) ?? 0, this.#clock.monotonicMs())
    this.#goodAtMs.set(key, fromMs + (events * hourMs) / limit)
  }
}

/** For whom something is fetched, and how much that was before. */
export interface Quotas {
  readonly quota: FetchQuota
  readonly roomId: RoomId
  /** Whose event made us fetch; nobody's, if we do so by ourselves. */
  readonly origin?: ServerName | undefined
}

type FetchLimits = Readonly<Record<keyof typeof fetchLimits, number>>

/** What a fetch may still cost. */
export class FetchBudget {
  readonly #clock: Clock
  readonly #endMs: number
  readonly #quotas: Quotas | undefined
  #events: number
  #bytes: number
  #taken = 0
  #takenBytes = 0
  /** How many of these are counted with what others hold. */
  #heldBytes = 0
  #isCrowdedOut = false

  constructor(clock: Clock, quotas?: Quotas, limits: FetchLimits = fetchLimits) {
    this.#clock = clock
    this.#quotas = quotas
    this.#endMs = clock.monotonicMs() + limits.timeMs
    this.#events = limits.events
    this.#bytes = limits.bytes
  }

  /** Whether it ended since others held so much, which is no fault of who was asked. */
  get isCrowdedOut(): boolean {
    return this.#isCrowdedOut
  }

  get isSpent(): boolean {
    if (this.#isCrowdedOut) return true
    if (this.#events <= 0 || this.#bytes <= 0 || this.#clock.monotonicMs() > this.#endMs)
      return true
    if (this.#quotas === undefined) return false
    const { quota, roomId, origin } = this.#quotas
    if (quota.isSpent(roomId, hourlyLimits.room)) return true
    return origin !== undefined && quota.isSpent(origin, hourlyLimits.origin)
  }

  /** How many events it has paid for. */
  get taken(): number {
    return this.#taken
  }

  /** Takes as many of the PDUs as can be afforded. */
  afford(pdus: readonly Uint8Array[]): readonly Uint8Array[] {
    let count = 0
    for (const pdu of pdus) {
      if (this.isSpent || !this.#hold(pdu.length)) break
      this.#events -= 1
      this.#bytes -= pdu.length
      count += 1
      this.#taken += 1
      this.#note()
    }
    return count === pdus.length ? pdus : pdus.slice(0, count)
  }

  /** What was fetched is not held any more. */
  close(): void {
    this.#quotas?.quota.letGo(this.#heldBytes)
    this.#heldBytes = 0
  }

  #hold(bytes: number): boolean {
    this.#takenBytes += bytes
    if (this.#quotas === undefined || this.#takenBytes <= heldLimits.first) return true
    this.#isCrowdedOut = !this.#quotas.quota.hold(bytes)
    if (!this.#isCrowdedOut) this.#heldBytes += bytes
    return !this.#isCrowdedOut
  }

  #note(): void {
    if (this.#quotas === undefined) return
    const { quota, roomId, origin } = this.#quotas
    quota.spend(roomId, hourlyLimits.room, 1)
    if (origin !== undefined) quota.spend(origin, hourlyLimits.origin, 1)
  }
}
