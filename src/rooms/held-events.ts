/**
 * The events of one room in memory: those that are about to be committed, and of those that are stored
 * the ones that were read lately.
 *
 * @module
 */

import { LRUCache } from 'lru-cache'
import type { Clock } from '#io/clock.ts'
import { Slices } from '#io/slices.ts'
import type { EventId, RoomId } from '#protocol/identifiers/ids.ts'
import { parsePdu, pduOfCheckedBytes } from '#protocol/parse-pdu.ts'
import type { Pdu } from '#protocol/pdu.ts'
import type { RoomVersion } from '#protocol/room-version.ts'
import type { Reader } from '#storage/database.ts'
import {
  checksumOf,
  type EventBytesRow,
  type EventRow,
  eventBytesRows,
  eventRows,
  eventStatuses,
} from '#storage/events.ts'
import type { EventStatus, Position } from './rooms.ts'

/** What the engine knows of a stored event without reading it. */
export interface EventFacts {
  readonly eventId: EventId
  readonly status: EventStatus
  readonly depth: number
  /** Versions of the room's state; `undefined` for outliers. */
  readonly stateBefore: number | undefined
  readonly stateAfter: number | undefined
  /** Of state events: the number in the auth graph. */
  readonly number: number | undefined
  readonly position: Position | undefined
}

/** The bytes of a stored event are not those that were stored. */
class EventCorrupted extends Error {
  override readonly name = 'EventCorrupted'
}

const factsMax = 20_000
/** How many redactions may be committed while a reading is under way that does not know of them. */
const redactedMax = 1000
const pduBytesMax = 16 * 1024 * 1024
/** About how much memory the facts of an event take. */
const factsBytes = 300
/** How many events are read at once: some milliseconds of parsing. */
const readPage = 200

export class HeldEvents {
  readonly #db: Reader
  readonly #clock: Clock
  readonly #roomId: RoomId
  readonly #roomNid: number
  readonly #version: RoomVersion
  readonly #facts = new LRUCache<EventId, EventFacts>({
    maxSize: factsMax,
    sizeCalculation: () => 1,
  })
  /** IDs that this turn has found not to be stored: what enters the room comes by `enter`. */
  readonly #absent = new Set<EventId>()
  readonly #inFlight = new Map<EventId, { readonly facts: EventFacts; readonly pdu: Pdu }>()
  readonly #pdus = new LRUCache<EventId, Pdu>({
    maxSize: pduBytesMax,
    sizeCalculation: (pdu) => pdu.bytes.length * 4 + 500,
  })
  /** Events that were redacted lately. */
  readonly #redacted = new LRUCache<EventId, true>({
    maxSize: redactedMax,
    sizeCalculation: () => 1,
  })

  constructor(
    db: Reader,
    room: {
      readonly roomId: RoomId
      readonly roomNid: number
      readonly version: RoomVersion
      readonly clock: Clock
    },
  ) {
    this.#db = db
    this.#clock = room.clock
    this.#roomId = room.roomId
    this.#roomNid = room.roomNid
    this.#version = room.version
  }

  /** An event that is about to be committed; `undefined` also for those that are stored. */
  inFlight(eventId: EventId): Pdu | undefined {
    return this.#inFlight.get(eventId)?.pdu
  }

  cachedPdu(eventId: EventId): Pdu | undefined {
    return this.#inFlight.get(eventId)?.pdu ?? this.#pdus.get(eventId)
  }

  /** The event of a row. What a disk has corrupted is found here, and goes nowhere. */
  pduOfRow(row: EventBytesRow): Pdu {
    const bytes = this.#checkedBytes(row)
    const pdu = bytes ? pduOfCheckedBytes(this.#version, row.event_id, bytes) : this.#reread(row)
    // A row that was read before a redaction was committed says what nobody is to be told any more.
    const isOutdated = row.redacted_by === null && this.#redacted.has(row.event_id)
    if (!isOutdated) this.#pdus.set(row.event_id, pdu)
    return pdu
  }

  /** The bytes of a row if they are those that were stored; `undefined` if only their ID can tell. */
  #checkedBytes({ event_id, bytes, checksum }: EventBytesRow): Uint8Array | undefined {
    if (checksum === null) return undefined
    if (checksum === checksumOf(event_id, bytes)) return bytes
    throw this.#corrupted(event_id, 'their checksum is another')
  }

  /** The event of a row without a checksum: its ID is computed anew. */
  #reread({ event_id, bytes }: EventBytesRow): Pdu {
    const parsed = parsePdu(this.#version, bytes)
    if (!parsed.ok) throw this.#corrupted(event_id, parsed.reason)
    if (parsed.pdu.event_id === event_id) return parsed.pdu
    throw this.#corrupted(event_id, `their ID is ${parsed.pdu.event_id}`)
  }

  #corrupted(eventId: EventId, found: string): EventCorrupted {
    return new EventCorrupted(
      `The bytes stored for ${eventId} of ${this.#roomId} are not those of that event: ${found}.`,
    )
  }

  /** Puts what is left of an event in its place, since it has been redacted. */
  replacePdu(redacted: Pdu): void {
    this.#pdus.delete(redacted.event_id)
    const entry = this.#inFlight.get(redacted.event_id)
    if (entry) this.#inFlight.set(redacted.event_id, { facts: entry.facts, pdu: redacted })
  }

  /** The redaction of an event is committed. Whoever has read it in the meantime found it whole. */
  redacted(redacted: Pdu): void {
    this.#pdus.set(redacted.event_id, redacted)
    this.#redacted.set(redacted.event_id, true)
  }

  /** What is stored, or is about to be, of these events. */
  async facts(eventIds: readonly EventId[]): Promise<Map<EventId, EventFacts>> {
    const found = new Map<EventId, EventFacts>()
    const missing: EventId[] = []
    for (const eventId of eventIds) {
      const facts = this.#inFlight.get(eventId)?.facts ?? this.#facts.get(eventId)
      if (facts !== undefined) found.set(eventId, facts)
      else if (!this.#absent.has(eventId)) missing.push(eventId)
    }
    await inPages(this.#clock, missing, async (page) => {
      for (const row of await eventRows(this.#db, this.#roomNid, page)) {
        const facts = factsOf(row)
        this.#facts.set(row.event_id, facts)
        found.set(row.event_id, facts)
      }
    })
    return found
  }

  /** Looks at all these events at once, so that the turn need not ask for each. */
  async lookAt(eventIds: Iterable<EventId>): Promise<void> {
    const distinct = [...new Set(eventIds)]
    const found = await this.facts(distinct)
    for (const eventId of distinct) if (!found.has(eventId)) this.noteAbsent(eventId)
  }

  /** The event is not stored, so nobody need look for it in this turn. */
  noteAbsent(eventId: EventId): void {
    this.#absent.add(eventId)
  }

  /** Another turn begins. */
  forgetAbsent(): void {
    this.#absent.clear()
  }

  /** Events that are stored, or about to be. */
  async pdus(eventIds: readonly EventId[]): Promise<Map<EventId, Pdu>> {
    const found = new Map<EventId, Pdu>()
    const missing: EventId[] = []
    for (const eventId of eventIds) {
      const pdu = this.cachedPdu(eventId)
      if (pdu === undefined) missing.push(eventId)
      else found.set(eventId, pdu)
    }
    await inPages(this.#clock, missing, async (page) => {
      for (const row of await eventBytesRows(this.#db, this.#roomNid, page)) {
        found.set(row.event_id, this.pduOfRow(row))
      }
    })
    return found
  }

  /** The bytes of stored events, in the order of the IDs, without making events of them. */
  async bytesOf(eventIds: readonly EventId[]): Promise<Uint8Array[]> {
    const found = new Map<EventId, Uint8Array>()
    const missing: EventId[] = []
    for (const eventId of eventIds) {
      const pdu = this.cachedPdu(eventId)
      if (pdu === undefined) missing.push(eventId)
      else found.set(eventId, pdu.bytes)
    }
    await inPages(this.#clock, missing, async (page) => {
      for (const row of await eventBytesRows(this.#db, this.#roomNid, page)) {
        found.set(row.event_id, this.#checkedBytes(row) ?? this.#reread(row).bytes)
      }
    })
    return eventIds.flatMap((eventId) => found.get(eventId) ?? [])
  }

  /** An event is about to be committed with these facts. */
  enter(pdu: Pdu, facts: EventFacts): void {
    this.#inFlight.set(pdu.event_id, { facts, pdu })
    this.#absent.delete(pdu.event_id)
  }

  /** What is known of an event has changed in the store. */
  forgetFacts(eventId: EventId): void {
    this.#facts.delete(eventId)
  }

  /** An event is about to go, or to lose its place. */
  forget(eventId: EventId): void {
    this.#facts.delete(eventId)
    this.#pdus.delete(eventId)
  }

  /** About how many bytes of memory the events take that are kept because they may be asked for again. */
  get bytes(): number {
    return this.#pdus.calculatedSize + this.#facts.size * factsBytes
  }

  /** Lets go of them. */
  forgetAll(): void {
    this.#pdus.clear()
    this.#facts.clear()
  }

  /** These events are committed. */
  entered(eventIds: readonly EventId[]): void {
    for (const eventId of eventIds) {
      const entry = this.#inFlight.get(eventId)
      if (entry === undefined) continue
      this.#inFlight.delete(eventId)
      this.#facts.set(eventId, entry.facts)
      this.#pdus.set(eventId, entry.pdu)
    }
  }
}

/** Reads many things some at a time, so that nobody waits long for the thread. */
export async function inPages<T>(
  clock: Clock,
  all: readonly T[],
  read: (page: readonly T[]) => Promise<void>,
): Promise<void> {
  if (all.length <= readPage) {
    if (all.length > 0) await read(all)
    return
  }
  const slices = new Slices(clock)
  for (let at = 0; at < all.length; at += readPage) {
    await read(all.slice(at, at + readPage))
    if (slices.isOver) await slices.next()
  }
}

export function factsOf(row: EventRow): EventFacts {
  return {
    eventId: row.event_id,
    status: eventStatuses[row.status] ?? 'rejected',
    depth: row.depth,
    stateBefore: row.state_before ?? undefined,
    stateAfter: row.state_after ?? undefined,
    number: row.number ?? undefined,
    position:
      row.stream === null || row.sub === null ? undefined : { stream: row.stream, sub: row.sub },
  }
}
