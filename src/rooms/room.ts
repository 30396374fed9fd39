/**
 * One room in memory: what its single writer works on.
 *
 * State events have a number in their room, that of the auth graph; so auth events have smaller
 * numbers than what they authorise. State keys are numbered too. `head` is the room as it will be
 * when all that is under way is committed; `published` is what is committed, and what readers see.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { LRUCache } from 'lru-cache'
import type { Clock } from '#io/clock.ts'
import { Slices } from '#io/slices.ts'
import type { AuthState } from '#protocol/auth-rules/auth-state.ts'
import type { EventId, RoomId } from '#protocol/identifiers/ids.ts'
import { parsePdu, pduOfCheckedBytes } from '#protocol/parse-pdu.ts'
import type { Pdu } from '#protocol/pdu.ts'
import type { RoomVersion } from '#protocol/room-version.ts'
import { AuthCover } from '#protocol/state-resolution/auth-cover.ts'
import { AuthGraph, authEventKindOf } from '#protocol/state-resolution/auth-graph.ts'
import { resolveStates } from '#protocol/state-resolution/resolve.ts'
import type { RoomEvents } from '#protocol/state-resolution/room-events.ts'
import { eventAt, type StatePairs } from '#protocol/state-resolution/state-pairs.ts'
import type { Reader } from '#storage/database.ts'
import {
  checksumOf,
  type EventBytesRow,
  type EventRow,
  eventBytesRows,
  eventRows,
  eventStatuses,
  numberedEventRows,
} from '#storage/events.ts'
import { membershipCodeOf } from './membership-codes.ts'
import type { PartialRoom } from './partial-room.ts'
import type { EventStatus, Position } from './rooms.ts'
import type { StateVersions } from './state-versions.ts'

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

export interface Head {
  readonly extremities: readonly EventId[]
  /** The version of the state that they resolve to. */
  readonly state: number
}

export interface StateKey {
  readonly type: string
  readonly stateKey: string
}

/** The bytes of a stored event are not those that were stored. */
class EventCorrupted extends Error {
  override readonly name = 'EventCorrupted'
}

const factsMax = 20_000
/** How many redactions may be committed while a reading is under way that does not know of them. */
const redactedMax = 1000
const resolutionsMax = 1000
const pduBytesMax = 16 * 1024 * 1024
/** About how much memory the facts of an event take. */
const factsBytes = 300
/** How many events are read at once: some milliseconds of parsing. */
const readPage = 200

export class Room implements RoomEvents {
  readonly roomId: RoomId
  readonly roomNid: number
  readonly version: RoomVersion
  readonly states: StateVersions
  readonly clock: Clock
  readonly graph = new AuthGraph()
  readonly cover = new AuthCover(this.graph)
  head: Head
  published: Head
  /**
   * From which position of the stream on the published state is the current one; `undefined` while that is
   * about to change.
   */
  publishedSince: number | undefined
  /** State keys that have a number but no row, and the next version's rows likewise. */
  readonly freshKeys: { readonly id: number; readonly key: StateKey }[] = []
  readonly #db: Reader
  readonly #keyIds = new Map<string, number>()
  readonly #keys: StateKey[] = []
  readonly #numbers = new Map<EventId, number>()
  readonly #ids: EventId[] = []
  readonly #rejected = new Set<number>()
  readonly #memberships: number[] = []
  readonly #keyOfNumber: number[] = []
  /** Events that are parents of events here, and are not here themselves. */
  readonly missingParents = new Set<EventId>()
  /** Whether redactions wait for events that are not here. */
  hasWaitingRedactions = false
  /** Of a room whose state is not known whole; it is so from the commit of our join on. */
  partial: PartialRoom | undefined
  /** The same as it is committed. */
  publishedPartial: PartialRoom | undefined
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

  constructor(
    db: Reader,
    room: {
      readonly roomId: RoomId
      readonly roomNid: number
      readonly version: RoomVersion
      readonly states: StateVersions
      readonly head: Head
      readonly clock: Clock
    },
  ) {
    this.#db = db
    this.roomId = room.roomId
    this.roomNid = room.roomNid
    this.version = room.version
    this.states = room.states
    this.clock = room.clock
    this.head = room.head
    this.published = room.head
  }

  /** The create event is the first that a room gets a number for. */
  get create(): number {
    return 0
  }

  stateKeyId(type: string, stateKey: string): number | undefined {
    return this.#keyIds.get(keyText(type, stateKey))
  }

  get stateKeyCount(): number {
    return this.#keys.length
  }

  stateKey(id: number): StateKey {
    const key = this.#keys[id]
    assert(key !== undefined, `room ${this.roomId} has no state key number ${id}`)
    return key
  }

  /** The number of a state key, which it gets if it has none. */
  numberStateKey(type: string, stateKey: string): number {
    const known = this.stateKeyId(type, stateKey)
    if (known !== undefined) return known
    const id = this.loadStateKey(type, stateKey)
    this.freshKeys.push({ id, key: { type, stateKey } })
    return id
  }

  loadStateKey(type: string, stateKey: string): number {
    const id = this.#keys.length
    this.#keys.push({ type, stateKey })
    this.#keyIds.set(keyText(type, stateKey), id)
    return id
  }

  eventId(number: number): EventId {
    const id = this.#ids[number]
    assert(id !== undefined, `room ${this.roomId} has no event number ${number}`)
    return id
  }

  eventNumber(eventId: EventId): number | undefined {
    return this.#numbers.get(eventId)
  }

  isRejected(number: number): boolean {
    return this.#rejected.has(number)
  }

  /** What was thought of an event was wrong. */
  setRejected(eventId: EventId, isRejected: boolean): void {
    const number = this.#numbers.get(eventId)
    if (number === undefined) return
    if (isRejected) this.#rejected.add(number)
    else this.#rejected.delete(number)
  }

  /** Gives a state event its number. Its auth events have theirs. */
  numberEvent(pdu: Pdu, isRejected: boolean): number {
    const known = this.#numbers.get(pdu.event_id)
    if (known !== undefined) {
      if (isRejected) this.#rejected.add(known)
      return known
    }
    const authNumbers = pdu.auth_events.flatMap((id) => this.#numbers.get(id) ?? [])
    return this.loadEvent(pdu.event_id, {
      stateKey: this.numberStateKey(pdu.type, pdu.state_key ?? ''),
      authNumbers,
      isRejected,
      membership: membershipCodeOf(pdu),
      append: (numbers) => this.graph.append(numbers, authEventKindOf(pdu)),
    })
  }

  loadEvent(
    eventId: EventId,
    event: {
      /** Its number. */
      readonly stateKey: number
      readonly authNumbers: ArrayLike<number>
      readonly isRejected: boolean
      readonly membership: number
      readonly append: (authNumbers: ArrayLike<number>) => number
    },
  ): number {
    const number = event.append(event.authNumbers)
    this.#ids[number] = eventId
    this.#memberships[number] = event.membership
    this.#keyOfNumber[number] = event.stateKey
    this.#numbers.set(eventId, number)
    if (event.isRejected) this.#rejected.add(number)
    return number
  }

  /** The number of the state key at which an event stands. */
  stateKeyOf(number: number): number {
    const key = this.#keyOfNumber[number]
    assert(key !== undefined, `room ${this.roomId} has no event number ${number}`)
    return key
  }

  /** What a member event says, as in `membership-codes.ts`. */
  membershipCode(number: number): number {
    return this.#memberships[number] ?? 0
  }

  /** Called by state resolution for events that were loaded before. */
  event(number: number): Pdu {
    const eventId = this.eventId(number)
    const pdu = this.#inFlight.get(eventId)?.pdu ?? this.#resolving.get(eventId)
    assert(pdu !== undefined, `event ${eventId} is not loaded`)
    return pdu
  }

  /** The events of the resolution under way, so that no cache forgets them in between. */
  readonly #resolving = new Map<EventId, Pdu>()

  /** The version that the states of these versions resolve to. */
  async resolve(versions: readonly number[]): Promise<number> {
    const distinct = [...new Set(versions)].sort((a, b) => a - b)
    const [only = 0] = distinct
    if (distinct.length < 2) return only
    const known = this.#resolutions.get(distinct.join())
    if (known !== undefined) return known
    const states = await Promise.all(distinct.map((version) => this.states.pairs(version)))
    const resolved = await this.states.withPairs(distinct, await this.#resolveStates(states))
    this.#resolutions.set(distinct.join(), resolved)
    return resolved
  }

  readonly #resolutions = new LRUCache<string, number>({
    maxSize: resolutionsMax,
    sizeCalculation: () => 1,
  })

  async #resolveStates(states: readonly StatePairs[]): Promise<StatePairs> {
    try {
      const slices = new Slices(this.clock)
      const steps = resolveStates(this, states)
      let step = steps.next()
      while (!step.done) {
        const needed = step.value.length === 0 ? [] : await this.numbered(step.value)
        for (const pdu of needed) this.#resolving.set(pdu.event_id, pdu)
        if (slices.isOver) await slices.next()
        step = steps.next()
      }
      return step.value
    } finally {
      this.#resolving.clear()
    }
  }

  /** State events by number, in the order of the numbers. */
  async numbered(numbers: readonly number[]): Promise<Pdu[]> {
    const missing: number[] = []
    const found = new Map<number, Pdu>()
    for (const number of numbers) {
      const pdu = this.cachedPdu(this.eventId(number))
      if (pdu === undefined) missing.push(number)
      else found.set(number, pdu)
    }
    await this.#inPages(missing, async (page) => {
      for (const row of await numberedEventRows(this.#db, this.roomNid, page)) {
        if (row.number !== null) found.set(row.number, this.pduOfRow(row))
      }
    })
    return numbers.map((number) => {
      const pdu = found.get(number)
      assert(pdu !== undefined, `event ${this.eventId(number)} of ${this.roomId} is not stored`)
      return pdu
    })
  }

  /** Reads many things some at a time, so that nobody waits long for the thread. */
  async #inPages<T>(all: readonly T[], read: (page: readonly T[]) => Promise<void>): Promise<void> {
    if (all.length <= readPage) {
      if (all.length > 0) await read(all)
      return
    }
    const slices = new Slices(this.clock)
    for (let at = 0; at < all.length; at += readPage) {
      await read(all.slice(at, at + readPage))
      if (slices.isOver) await slices.next()
    }
  }

  cachedPdu(eventId: EventId): Pdu | undefined {
    return this.#inFlight.get(eventId)?.pdu ?? this.#pdus.get(eventId)
  }

  /** The event of a row. What a disk has corrupted is found here, and goes nowhere. */
  pduOfRow(row: EventBytesRow): Pdu {
    const bytes = this.#checkedBytes(row)
    const pdu = bytes ? pduOfCheckedBytes(this.version, row.event_id, bytes) : this.#reread(row)
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
    const parsed = parsePdu(this.version, bytes)
    if (!parsed.ok) throw this.#corrupted(event_id, parsed.reason)
    if (parsed.pdu.event_id === event_id) return parsed.pdu
    throw this.#corrupted(event_id, `their ID is ${parsed.pdu.event_id}`)
  }

  #corrupted(eventId: EventId, found: string): EventCorrupted {
    return new EventCorrupted(
      `The bytes stored for ${eventId} of ${this.roomId} are not those of that event: ${found}.`,
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

  /** Events that were redacted lately. */
  readonly #redacted = new LRUCache<EventId, true>({
    maxSize: redactedMax,
    sizeCalculation: () => 1,
  })

  /** What is stored, or is about to be, of these events. */
  async facts(eventIds: readonly EventId[]): Promise<Map<EventId, EventFacts>> {
    const found = new Map<EventId, EventFacts>()
    const missing: EventId[] = []
    for (const eventId of eventIds) {
      const facts = this.#inFlight.get(eventId)?.facts ?? this.#facts.get(eventId)
      if (facts !== undefined) found.set(eventId, facts)
      else if (!this.#absent.has(eventId)) missing.push(eventId)
    }
    await this.#inPages(missing, async (page) => {
      for (const row of await eventRows(this.#db, this.roomNid, page)) {
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
    await this.#inPages(missing, async (page) => {
      for (const row of await eventBytesRows(this.#db, this.roomNid, page)) {
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
    await this.#inPages(missing, async (page) => {
      for (const row of await eventBytesRows(this.#db, this.roomNid, page)) {
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
  forgetEvent(eventId: EventId): void {
    this.#facts.delete(eventId)
    this.#pdus.delete(eventId)
  }

  /** About how many bytes of memory the events take that are kept because they may be asked for again. */
  get eventBytes(): number {
    return this.#pdus.calculatedSize + this.#facts.size * factsBytes
  }

  /** Lets go of them. */
  forgetEvents(): void {
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

  /** What the auth rules may read of a state: the events at these keys, loaded. */
  async authState(
    version: number,
    keys: readonly (readonly [type: string, stateKey: string])[],
  ): Promise<AuthState> {
    const pairs = await this.states.pairs(version)
    const numbers = keys.flatMap(([type, stateKey]) => {
      const id = this.stateKeyId(type, stateKey)
      return (id === undefined ? undefined : eventAt(pairs, id)) ?? []
    })
    const events = new Map(
      (await this.numbered(numbers)).map((pdu) => [keyText(pdu.type, pdu.state_key ?? ''), pdu]),
    )
    return { get: (type, stateKey) => events.get(keyText(type, stateKey)) }
  }
}

function keyText(type: string, stateKey: string): string {
  return `${type}\0${stateKey}`
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
