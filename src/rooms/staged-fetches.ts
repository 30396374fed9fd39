/**
 * The line of a room's staged PDUs whose missing events are to be fetched, one after the other: one may
 * bring what the next lacks. What they say is in the table.
 *
 * Each server that sent some has its turn, and of those that were tried before only some are in line at a
 * time: there may be many that can never be helped.
 *
 * @module
 */

import type { EventId, ServerName } from '#protocol/identifiers/ids.ts'
import type { Staged } from './receive-staged.ts'

export interface ToFetchFor {
  readonly stagedNid: number
  readonly origin: ServerName
  readonly eventId: EventId
}

/** How many are in line. */
const lengthMax = 500
/** For how many of those that have slept the missing events are fetched each time. */
const fetchesPerPass = 20

export class StagedFetches {
  readonly #line: ToFetchFor[] = []
  /** The numbers of these, and of that whose missing events are being fetched. */
  readonly #fetchedFor = new Set<number>()
  #fetchesLeft = fetchesPerPass
  /** Whose missing events were fetched last: others go first. */
  #lastOrigin: ServerName | undefined

  get isEmpty(): boolean {
    return this.#line.length === 0
  }

  /** Whether one is in line, or its missing events are being fetched. */
  has(stagedNid: number): boolean {
    return this.#fetchedFor.has(stagedNid)
  }

  /** Puts one into line, unless fetching was tried for too many just now. */
  add({ tries, stagedNid, origin, pdu }: Staged): boolean {
    const mayFetch = tries === 0 || this.#fetchesLeft > 0
    if (!mayFetch || this.#line.length === lengthMax) return false
    if (tries > 0) this.#fetchesLeft -= 1
    this.#fetchedFor.add(stagedNid)
    this.#line.push({ stagedNid, origin, eventId: pdu.event_id })
    return true
  }

  /** Of several servers that sent what lacks something, each has its turn. */
  next(): ToFetchFor | undefined {
    const other = this.#line.findIndex(({ origin }) => origin !== this.#lastOrigin)
    const [next] = this.#line.splice(Math.max(0, other), 1)
    this.#lastOrigin = next?.origin
    return next
  }

  /** The missing events of one have been asked for. */
  done(stagedNid: number): void {
    this.#fetchedFor.delete(stagedNid)
  }

  /** Some of those that have slept may be tried again. */
  renew(): void {
    this.#fetchesLeft = fetchesPerPass
  }

  clear(): void {
    this.#line.length = 0
    this.#fetchedFor.clear()
  }
}
