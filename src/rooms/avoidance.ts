/**
 * What one server could not give is not asked of it again for a while, which is longer each time; and what
 * it refused is told apart from what it could not give by an accident.
 *
 * @module
 */

import { LRUCache } from 'lru-cache'
import type { Clock } from '#io/clock.ts'
import type { EventId, ServerName } from '#protocol/identifiers/ids.ts'

const hourMs = 3_600_000
/** For how long the keys of what does not pass the door are waited for. */
const doubtMs = 600_000

/** What is asked for of an event besides itself. */
export const stateBefore = (eventId: EventId): string => `state before ${eventId}`
export const inState = (eventId: EventId): string => `${eventId} in a state`

/** Which events a server could not give, and until when it is not asked for them again. */
export class Avoidance {
  readonly #clock: Clock
  readonly #failures = new LRUCache<string, { readonly count: number; readonly untilMs: number }>({
    maxSize: 10_000,
    sizeCalculation: () => 1,
  })

  /** What servers said that they have not got, or gave in a form that never passes the door. */
  readonly #refusals = new LRUCache<string, true>({ maxSize: 10_000, sizeCalculation: () => 1 })
  /** Since when servers give what does not pass the door. */
  readonly #unproven = new LRUCache<string, number>({ maxSize: 10_000, sizeCalculation: () => 1 })

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /**
   * Whether it is by what a server said, and not by an accident, that we have not got an event of it, or
   * the state before one (`stateBefore`).
   */
  isRefused(server: ServerName, subject: string): boolean {
    return this.#refusals.has(`${server} ${subject}`)
  }

  refused(server: ServerName, subject: string): void {
    this.#refusals.set(`${server} ${subject}`, true)
  }

  /**
   * What a server gave does not pass the door. The keys by which it is signed may only be out of reach
   * now, so that this counts as a refusal if it is still so after a while.
   */
  unproven(server: ServerName, eventId: EventId): void {
    const key = `${server} ${eventId}`
    const now = this.#clock.monotonicMs()
    const sinceMs = this.#unproven.get(key) ?? now
    this.#unproven.set(key, sinceMs)
    if (now - sinceMs >= doubtMs) this.refused(server, eventId)
  }

  /** `subject`: an event, or what is before it. */
  isAvoided(server: ServerName, subject: string): boolean {
    const failure = this.#failures.get(`${server} ${subject}`)
    return failure !== undefined && failure.untilMs > this.#clock.monotonicMs()
  }

  /** From a minute, doubled with each failure, to about a day; as long as the server asks for, at least. */
  failed(server: ServerName, subject: string, askedMs?: number): void {
    this.#avoid(server, subject, { leastMs: 60_000, doublings: 10, askedMs })
  }

  /**
   * What a server gives of an event has no use here. For a minute only: who could not prove what they say
   * may be able to then.
   */
  useless(server: ServerName, eventId: EventId): void {
    this.#avoid(server, `useless ${eventId}`, { leastMs: 60_000, doublings: 0 })
  }

  isUseless(server: ServerName, eventId: EventId): boolean {
    return this.isAvoided(server, `useless ${eventId}`)
  }

  /** What a server led us to for an event took more than it may: from an hour to about ten days. */
  overran(server: ServerName, eventId: EventId): void {
    this.#avoid(server, eventId, { leastMs: hourMs, doublings: 8 })
  }

  #avoid(
    server: ServerName,
    subject: string,
    {
      leastMs,
      doublings,
      askedMs = 0,
    }: {
      readonly leastMs: number
      readonly doublings: number
      readonly askedMs?: number | undefined
    },
  ): void {
    const key = `${server} ${subject}`
    const count = (this.#failures.get(key)?.count ?? 0) + 1
    const waitMs = Math.max(askedMs, leastMs * 2 ** Math.min(count - 1, doublings))
    this.#failures.set(key, { count, untilMs: this.#clock.monotonicMs() + waitMs })
  }
}
