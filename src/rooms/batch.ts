/**
 * What one turn of a room's queue brings, collected and then committed as one unit: events, verdicts
 * with their rules, states, forward extremities, positions, outbox rows, memberships of local users.
 *
 * @module
 */

import type { EventId, ServerName } from '#protocol/identifiers/ids.ts'
import { pduOf } from '#protocol/parse-pdu.ts'
import type { Pdu } from '#protocol/pdu.ts'
import { redact } from '#protocol/redaction.ts'
import { type Relation, relationOf } from '#protocol/relations.ts'
import type { Writer } from '#storage/database.ts'
import { eventStatuses, placeEvent, putEvent, putVerdict, redactEvent } from '#storage/events.ts'
import {
  addMissingParent,
  awaitRedacted,
  isRedactedNow,
  parentIsHere,
  passOnGaps,
} from '#storage/gaps.ts'
import { addToOutbox } from '#storage/outbox.ts'
import { addRelation, removeRelation } from '#storage/relations.ts'
import { addRoom, setImported, setImporting, setRoomHead } from '#storage/rooms.ts'
import { unstagePdus } from '#storage/staging.ts'
import { putCurrentState, putStateKey } from '#storage/states.ts'
import { membershipCodeOf } from './membership-codes.ts'
import type { Head, Room } from './room.ts'
import type { EventStatus, Position } from './rooms.ts'
import { bytesOf } from './state-versions.ts'

export interface NewEvent {
  readonly pdu: Pdu
  readonly status: EventStatus
  /** Why, unless it was accepted. */
  readonly rule: string | undefined
  /** Of a soft-failed event: the version of the state that was current when it was judged. */
  readonly currentState?: number
  readonly stateBefore: number | undefined
  readonly stateAfter: number | undefined
  /** Where it stands: at the end of the timeline, at a given place in its history, or nowhere. */
  readonly place: 'end' | Position | 'nowhere'
  /** Parents that are not here, also those of refused events between it and them. */
  readonly missingParents: readonly EventId[]
  readonly destinations: readonly ServerName[]
}

export interface Redaction {
  readonly target: Pdu
  /** The event as it was. */
  readonly before: Pdu
  readonly by: EventId
  /** How the event was related to another, which it is no longer. */
  readonly relation: Relation | undefined
}

/** Where an event stands once its position in the stream is known. */
export interface Placed {
  readonly event: NewEvent
  readonly position: Position | undefined
}

/** What became of a batch. */
export interface Written {
  readonly placed: readonly Placed[]
  /** The positions of `lateRedactions`. */
  readonly late: readonly Position[]
  readonly states: readonly number[]
  readonly last: number
}

export class Batch {
  readonly room: Room
  readonly events: NewEvent[] = []
  readonly redactions: Redaction[] = []
  readonly waitingRedactions: { readonly redacts: EventId; readonly eventId: EventId }[] = []
  /** Redactions that waited for an event of this batch, and are shown to clients because it came. */
  readonly lateRedactions: { readonly eventId: EventId; readonly pdu: Pdu }[] = []
  /** Events for which no redaction waits any more. */
  readonly noLongerAwaited: EventId[] = []
  readonly unstaged: number[] = []
  /** The head before anything of this batch. */
  readonly before: Head
  /** Whether the room itself is part of the batch. */
  readonly isNewRoom: boolean
  /** Further statements of the unit. */
  readonly alongside: ((tx: Writer, first: number) => void)[] = []

  readonly #nextEventNid: () => number

  constructor(room: Room, nextEventNid: () => number, { isNewRoom = false } = {}) {
    this.#nextEventNid = nextEventNid
    this.room = room
    this.before = room.head
    room.forgetAbsent()
    this.isNewRoom = isNewRoom
  }

  /** How many positions of the stream the unit needs. */
  get positions(): number {
    return this.events.filter(({ place }) => place === 'end').length + this.lateRedactions.length
  }

  get isEmpty(): boolean {
    return (
      this.events.length === 0 &&
      this.redactions.length === 0 &&
      this.unstaged.length === 0 &&
      this.alongside.length === 0
    )
  }

  add(event: NewEvent): void {
    this.events.push(event)
    const { pdu, status, stateBefore, stateAfter } = event
    const number =
      pdu.state_key === undefined ? undefined : this.room.numberEvent(pdu, status === 'rejected')
    // What only refused events name is no gap in what anybody sees, unless one was known to be there.
    if (status === 'accepted' || this.room.missingParents.has(pdu.event_id)) {
      for (const missing of event.missingParents) this.room.missingParents.add(missing)
    }
    this.room.enter(pdu, {
      eventId: pdu.event_id,
      status,
      depth: pdu.depth,
      stateBefore,
      stateAfter,
      number,
      position: undefined,
    })
  }

  /** The redaction takes effect in this batch. */
  redact(target: Pdu, by: EventId): void {
    const read = pduOf(target.version, redact(target.version, target.json), 'unlimited')
    if (typeof read === 'string') return
    const relation = relationOf(target.content)
    this.redactions.push({ target: read.pdu, before: target, by, relation })
    this.room.replacePdu(read.pdu)
  }

  /**
   * Adds the first events to a unit of their own, ahead of the rest, and gives their IDs. Only for a
   * room that nobody sees before the rest is committed.
   */
  writeFirst(tx: Writer, count: number): EventId[] {
    const { room } = this
    this.#writeKeys(tx, count)
    const until = this.events.findIndex(({ place }) => place !== 'nowhere')
    const first = this.events.splice(0, Math.min(count, until === -1 ? count : until))
    for (const event of first) this.#writeEvent(tx, event, undefined)
    setImporting(tx, room.roomNid)
    return first.map(({ pdu }) => pdu.event_id)
  }

  #writeKeys(tx: Writer, count = Number.POSITIVE_INFINITY): void {
    const { room } = this
    for (const { id, key } of room.freshKeys.splice(0, count)) {
      const row = { state_key_nid: id, type: key.type, state_key: key.stateKey }
      putStateKey(tx, room.roomNid, row)
    }
  }

  /** Adds all of it to a unit whose first position in the stream is `first`. */
  write(tx: Writer, first: number): Written {
    const { room } = this
    if (this.isNewRoom) {
      addRoom(tx, { roomNid: room.roomNid, roomId: room.roomId, version: room.version.id })
      setImported(tx, room.roomNid)
    }
    this.#writeKeys(tx)
    const states = room.states.write(tx)
    let stream = first
    const late: Position[] = []
    const placed = this.events.map((event) => {
      const position = event.place === 'end' ? { stream: stream++, sub: 0 } : placeOf(event)
      this.#writeEvent(tx, event, position)
      return { event, position }
    })
    for (const { eventId, pdu } of this.lateRedactions) {
      const position = { stream: stream++, sub: 0 }
      placeEvent(tx, room.roomNid, eventId, position)
      this.#writeRelation(tx, pdu, position)
      late.push(position)
    }
    // A change of state alone has a position, too.
    const last = Math.max(first, stream - 1)
    this.#writeRest(tx, last)
    for (const more of this.alongside) more(tx, first)
    return { placed, states, last, late }
  }

  #writeEvent(tx: Writer, event: NewEvent, position: Position | undefined): void {
    const { room } = this
    const { pdu, status, rule, currentState = null } = event
    const number = room.eventNumber(pdu.event_id)
    putEvent(tx, room.roomNid, {
      event_nid: this.#nextEventNid(),
      event_id: pdu.event_id,
      status: eventStatuses.indexOf(status),
      stream: position?.stream ?? null,
      sub: position?.sub ?? null,
      depth: pdu.depth,
      state_before: event.stateBefore ?? null,
      state_after: event.stateAfter ?? null,
      number: number ?? null,
      state_key_nid:
        pdu.state_key === undefined ? null : (room.stateKeyId(pdu.type, pdu.state_key) ?? null),
      auth_numbers: number === undefined ? null : bytesOf(room.graph.authEvents(number)),
      membership: membershipCodeOf(pdu),
      origin_server_ts: pdu.origin_server_ts,
      bytes: pdu.bytes,
    })
    if (rule !== undefined) {
      putVerdict(tx, room.roomNid, pdu.event_id, { rule, current_state: currentState })
    }
    const isHere = event.stateAfter !== undefined
    if (isHere && room.missingParents.delete(pdu.event_id)) {
      if (status !== 'accepted') this.#passOnGaps(tx, event)
      parentIsHere(tx, room.roomNid, pdu.event_id)
    }
    if (position === undefined) return
    this.#writeRelation(tx, pdu, position)
    for (const missing of event.missingParents) {
      addMissingParent(tx, room.roomNid, { ...position, missing })
    }
    const { destinations } = event
    if (destinations.length > 0) {
      const { roomId } = room
      addToOutbox(tx, { stream: position.stream, roomId, eventId: pdu.event_id, destinations })
    }
  }

  /** How an event that takes its place in the timeline is related to another; not if it is redacted. */
  #writeRelation(tx: Writer, pdu: Pdu, place: Position): void {
    const { room } = this
    const { event_id: eventId, type, sender, origin_server_ts } = pdu
    const relation = relationOf((room.cachedPdu(eventId) ?? pdu).content)
    if (relation === undefined) return
    addRelation(tx, room.roomNid, relation, { eventId, type, sender, origin_server_ts, place })
  }

  /** What is missing before a refused event is missing before those that follow it. */
  #passOnGaps(tx: Writer, { pdu, missingParents }: NewEvent): void {
    for (const missing of missingParents) {
      passOnGaps(tx, this.room.roomNid, { refused: pdu.event_id, missing })
    }
  }

  #writeRest(tx: Writer, last: number): void {
    const { room } = this
    for (const { target, by, relation } of this.redactions) {
      const eventId = target.event_id
      redactEvent(tx, room.roomNid, { eventId, redactedBy: by, bytes: target.bytes })
      if (relation !== undefined) removeRelation(tx, room.roomNid, relation, eventId)
    }
    for (const waiting of this.waitingRedactions) awaitRedacted(tx, room.roomNid, waiting)
    for (const eventId of this.noLongerAwaited) isRedactedNow(tx, room.roomNid, eventId)
    unstagePdus(tx, this.unstaged)
    if (room.head === this.before) return
    const { extremities, state } = room.head
    setRoomHead(tx, room.roomNid, { extremities, currentState: state })
    if (state !== this.before.state) {
      putCurrentState(tx, room.roomNid, { stream: last, version: state })
    }
  }
}

function placeOf({ place }: NewEvent): Position | undefined {
  return typeof place === 'string' ? undefined : place
}
