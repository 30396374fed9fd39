/**
 * Looks through stored events for what can be searched, in the background, some at a time: sending must
 * not wait for it. Whoever searches waits until it has come as far as there are events, within reason.
 *
 * @module
 */

import type { Clock } from '#io/clock.ts'
import type { Log } from '#io/log.ts'
import { isJsonObject, type JsonObject } from '#protocol/json.ts'
import { readJson } from '#protocol/json-reader.ts'
import { relationOf } from '#protocol/relations.ts'
import type { Rooms } from '#rooms/rooms.ts'
import type { Database, Writer } from '#storage/database.ts'
import {
  eventsToIndex,
  indexProgress,
  indexRelation,
  indexTerms,
  setIndexProgress,
  type UnindexedRow,
} from '#storage/search-terms.ts'

/**
 * How many events are looked through at once, and how much of them: others wait for the thread while
 * their terms are found, and for the disk while these are written.
 */
const pageMax = { events: 100, bytes: 128 * 1024, terms: 2000 }
/**
 * How long others have the machine after each page, and before the first that a commit leads to. A page
 * costs some ten milliseconds: so the work never takes more than a few hundredths of a processor.
 */
const pauseMs = 250
const wakeMs = 1_000
/** How many pages somebody who searches waits for at most. */
const pagesWaitedFor = 50

export interface EventIndex {
  /** Begins with what was not finished before. Call it once. */
  start(): void
  /** Looks through what is new, as far as that does not take long. */
  catchUp(): Promise<void>
  close(): Promise<void>
}

export interface EventIndexNeeds {
  readonly db: Database
  readonly clock: Clock
  readonly log: Log
  readonly rooms: Pick<Rooms, 'onCommit'>
}

export function createEventIndex(needs: EventIndexNeeds): EventIndex {
  return new BackgroundIndex(needs)
}

class BackgroundIndex implements EventIndex {
  readonly #needs: EventIndexNeeds
  readonly #end = new AbortController()
  #running: Promise<void> | undefined
  /** Whether something was committed since the last look. */
  #hasNews = false
  #page: Promise<boolean> = Promise.resolve(false)
  /** How many events are read for the next page: not many more than fit into it. */
  #limit = pageMax.events

  constructor(needs: EventIndexNeeds) {
    this.#needs = needs
    needs.rooms.onCommit(({ timeline }) => {
      if (timeline.length > 0) this.#wake()
    })
  }

  start(): void {
    this.#wake()
  }

  async catchUp(): Promise<void> {
    for (let page = 0; page < pagesWaitedFor; page++) {
      if (!(await this.#nextPage())) return
    }
  }

  async close(): Promise<void> {
    this.#end.abort()
    await this.#running
    await this.#page.catch(() => {})
  }

  #wake(): void {
    this.#hasNews = true
    if (this.#running !== undefined || this.#end.signal.aborted) return
    this.#running = this.#work()
      .catch((error: unknown) => {
        if (!this.#end.signal.aborted) this.#needs.log.error('events are not indexed', { error })
      })
      .finally(() => {
        this.#running = undefined
      })
  }

  async #work(): Promise<void> {
    const { clock } = this.#needs
    const { signal } = this.#end
    while (this.#hasNews) {
      await clock.sleep(wakeMs, signal)
      this.#hasNews = false
      while (await this.#nextPage()) await clock.sleep(pauseMs, signal)
    }
  }

  /** One page at a time. Gives whether there may be more. */
  #nextPage(): Promise<boolean> {
    const next = this.#page.catch(() => false).then(() => this.#indexPage())
    this.#page = next
    return next
  }

  async #indexPage(): Promise<boolean> {
    const { db } = this.#needs
    const limit = this.#limit
    const { done_nid: after, relations_nid: oldUpTo } = await indexProgress(db)
    const rows = await eventsToIndex(db, { after, limit })
    if (rows.length === 0) return false
    const taken = await db.write((tx) => indexEvents(tx, rows, oldUpTo))
    this.#limit = Math.min(pageMax.events, 2 * taken)
    return taken < rows.length || rows.length === limit
  }
}

/** Looks through so many of the events as fit into a page, and gives how many that were. */
function indexEvents(tx: Writer, rows: readonly UnindexedRow[], oldUpTo: number): number {
  let [taken, bytes, terms] = [0, 0, 0]
  for (const row of rows) {
    terms += indexEvent(tx, row, row.event_nid <= oldUpTo)
    bytes += row.bytes.length
    taken += 1
    if (bytes >= pageMax.bytes || terms >= pageMax.terms) break
  }
  setIndexProgress(tx, (rows[taken - 1] as UnindexedRow).event_nid)
  return taken
}

/** Gives how many terms it has. What was redacted in the meantime is seen by the statements themselves. */
function indexEvent(tx: Writer, row: UnindexedRow, withRelation: boolean): number {
  if (row.stream === null || row.redacted_by !== null) return 0
  const read = readJson(row.bytes, 'any')
  if (!read.ok || !isJsonObject(read.value)) return 0
  const { type, state_key, content, sender, origin_server_ts } = read.value
  if (!isJsonObject(content)) return 0
  const name = { roomNid: row.room_nid, eventId: row.event_id }
  const terms = indexTerms(tx, name, { type, state_key, content })
  const relation = withRelation ? relationOf(content) : undefined
  if (relation === undefined) return terms
  indexRelation(tx, name, relation, { type, sender, origin_server_ts } as EventFields)
  return terms
}

/** Fields that every stored event has. */
type EventFields = Parameters<typeof indexRelation>[3] & JsonObject
