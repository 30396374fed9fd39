/**
 * The events of one room that have all terms of a search, the latest first, read as they are needed.
 *
 * @module
 */

import type { EventId, RoomId } from '#protocol/identifiers/ids.ts'
import type { Position } from '#rooms/rooms.ts'
import type { Reader } from '#storage/database.ts'
import { eventsWithTerm, placesWithTerms } from '#storage/search-terms.ts'

export interface Match {
  readonly roomId: RoomId
  readonly eventId: EventId
  readonly place: Position
  /** How often the terms are there. */
  readonly hits: number
}

/** How many events with the first of the terms are looked at, at once and in all. */
const firstPage = 20
const laterPage = 500
const lookedAtMax = 20_000

export class RoomMatches {
  readonly #db: Reader
  readonly #roomId: RoomId
  readonly #terms: readonly string[]
  readonly #fields: readonly number[]
  readonly #found: Match[] = []
  #before: Position
  #isEnd = false
  #lookedAt = 0

  constructor(
    db: Reader,
    wanted: {
      readonly roomId: RoomId
      readonly terms: readonly string[]
      readonly fields: readonly number[]
      readonly before: Position
    },
  ) {
    this.#db = db
    this.#roomId = wanted.roomId
    // The longest term is likely to be the rarest.
    this.#terms = wanted.terms.toSorted((a, b) => b.length - a.length)
    this.#fields = wanted.fields
    this.#before = wanted.before
  }

  /** The latest of those that are left; it stays. */
  async peek(): Promise<Match | undefined> {
    while (this.#found.length === 0 && !this.#isEnd) await this.#readMore()
    return this.#found[0]
  }

  take(): void {
    this.#found.shift()
  }

  async #readMore(): Promise<void> {
    const [term = '', ...others] = this.#terms
    const limit = this.#lookedAt === 0 ? firstPage : laterPage
    const roomId = this.#roomId
    const wanted = { roomId, term, fields: this.#fields, before: this.#before, limit }
    const rows = await eventsWithTerm(this.#db, wanted)
    const last = rows.at(-1)
    this.#lookedAt += rows.length
    this.#isEnd = rows.length < limit || this.#lookedAt >= lookedAtMax
    if (last === undefined) return
    this.#before = { stream: last.stream, sub: last.sub }
    const streams = rows.map(({ stream }) => stream)
    const having = others.length === 0 ? [] : await this.#having(others, streams)
    const hitsAt = new Map(having.map((row) => [`${row.stream} ${row.sub}`, row.hits]))
    for (const { stream, sub, event_id: eventId, hits } of rows) {
      const more = others.length === 0 ? 0 : hitsAt.get(`${stream} ${sub}`)
      if (more === undefined) continue
      this.#found.push({ roomId, eventId, place: { stream, sub }, hits: hits + more })
    }
  }

  #having(terms: readonly string[], streams: readonly number[]) {
    return placesWithTerms(this.#db, { roomId: this.#roomId, terms, streams })
  }
}
