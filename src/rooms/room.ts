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
import type { Pdu } from '#protocol/pdu.ts'
import type { RoomVersion } from '#protocol/room-version.ts'
import { AuthCover } from '#protocol/state-resolution/auth-cover.ts'
import { AuthGraph, authEventKindOf } from '#protocol/state-resolution/auth-graph.ts'
import { resolveStates } from '#protocol/state-resolution/resolve.ts'
import type { RoomEvents } from '#protocol/state-resolution/room-events.ts'
import { eventAt, type StatePairs } from '#protocol/state-resolution/state-pairs.ts'
import type { Reader } from '#storage/database.ts'
import { numberedEventRows } from '#storage/events.ts'
import { HeldEvents, inPages } from './held-events.ts'
import { membershipCodeOf } from './membership-codes.ts'
import type { PartialRoom } from './partial-room.ts'
import { type StateKey, stateKeyText } from './state-key.ts'
import type { StateVersions } from './state-versions.ts'
import { UnprovedEvents } from './unproved-events.ts'

export interface Head {
  readonly extremities: readonly EventId[]
  /** The version of the state that they resolve to. */
  readonly state: number
}

const resolutionsMax = 1000

export class Room implements RoomEvents {
  readonly roomId: RoomId
  readonly roomNid: number
  readonly version: RoomVersion
  readonly states: StateVersions
  readonly clock: Clock
  readonly events: HeldEvents
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
  /** Events of states that were taken without them, since nobody could prove them then. */
  readonly unproved = new UnprovedEvents()
  /** Events of which the state before them is a guess. */
  readonly guessed = new Set<EventId>()
  /** Whether redactions wait for events that are not here. */
  hasWaitingRedactions = false
  /** Of a room whose state is not known whole; it is so from the commit of our join on. */
  partial: PartialRoom | undefined
  /** The same as it is committed. */
  publishedPartial: PartialRoom | undefined

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
    this.events = new HeldEvents(db, room)
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
    return this.#keyIds.get(stateKeyText(type, stateKey))
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
    this.#keyIds.set(stateKeyText(type, stateKey), id)
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
      this.setRejected(pdu.event_id, isRejected)
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
    this.unproved.found(eventId, this.stateKey(event.stateKey))
    return number
  }

  /** The number of the state key at which an event stands. */
  stateKeyOf(number: number): number {
    const key = this.#keyOfNumber[number]
    assert(key !== undefined, `room ${this.roomId} has no event number ${number}`)
    return key
  }

  /** All events that stand, or stood, at a state key, as far as they have a number. */
  async eventsAt(key: StateKey): Promise<EventId[]> {
    const id = this.stateKeyId(key.type, key.stateKey)
    if (id === undefined) return []
    const slices = new Slices(this.clock)
    const found: EventId[] = []
    for (let number = 0; number < this.#keyOfNumber.length; number += 1) {
      if (slices.isOver) await slices.next()
      if (this.#keyOfNumber[number] === id) found.push(this.eventId(number))
    }
    return found
  }

  /** What a member event says, as in `membership-codes.ts`. */
  membershipCode(number: number): number {
    return this.#memberships[number] ?? 0
  }

  /** Called by state resolution for events that were loaded before. */
  event(number: number): Pdu {
    const eventId = this.eventId(number)
    const pdu = this.events.inFlight(eventId) ?? this.#resolving.get(eventId)
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
      const pdu = this.events.cachedPdu(this.eventId(number))
      if (pdu === undefined) missing.push(number)
      else found.set(number, pdu)
    }
    await inPages(this.clock, missing, async (page) => {
      for (const row of await numberedEventRows(this.#db, this.roomNid, page)) {
        if (row.number !== null) found.set(row.number, this.events.pduOfRow(row))
      }
    })
    return numbers.map((number) => {
      const pdu = found.get(number)
      assert(pdu !== undefined, `event ${this.eventId(number)} of ${this.roomId} is not stored`)
      return pdu
    })
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
    const events = new Map<string, Pdu>()
    for (const pdu of await this.numbered(numbers)) {
      events.set(stateKeyText(pdu.type, pdu.state_key ?? ''), pdu)
    }
    return { get: (type, stateKey) => events.get(stateKeyText(type, stateKey)) }
  }
}
