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

/** How many events are looked through at once. */
const pageSize = 100
/**
 * How long others have the machine after each page, and before the first that a commit leads to. An event
 * costs some 80 µs: so the work never takes more than a few hundredths of a processor.
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
    const next = this.#page.catch(() => false).then(() => indexPage(this.#needs))
    this.#page = next
    return next
  }
}

async function indexPage({ db }: EventIndexNeeds): Promise<boolean> {
  const { done_nid: after, relations_nid: oldUpTo } = await indexProgress(db)
  const rows = await eventsToIndex(db, { after, limit: pageSize })
  const last = rows.at(-1)
  if (last === undefined) return false
  await db.write((tx) => {
    for (const row of rows) indexEvent(tx, row, row.event_nid <= oldUpTo)
    setIndexProgress(tx, last.event_nid)
  })
  return rows.length === pageSize
}

/** What was redacted in the meantime is seen by the statements themselves. */
function indexEvent(tx: Writer, row: UnindexedRow, withRelation: boolean): void {
  if (row.stream === null || row.redacted_by !== null) return
  const read = readJson(row.bytes, 'any')
  if (!read.ok || !isJsonObject(read.value)) return
  const { type, state_key, content, sender, origin_server_ts } = read.value
  if (!isJsonObject(content)) return
  const name = { roomNid: row.room_nid, eventId: row.event_id }
  indexTerms(tx, name, { type, state_key, content })
  const relation = withRelation ? relationOf(content) : undefined
  if (relation === undefined) return
  indexRelation(tx, name, relation, { type, sender, origin_server_ts } as EventFields)
}

/** Fields that every stored event has. */
type EventFields = Parameters<typeof indexRelation>[3] & JsonObject
