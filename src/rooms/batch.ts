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
import { relationOf } from '#protocol/relations.ts'
import { stickyMsOf } from '#protocol/sticky.ts'
import type { Writer } from '#storage/database.ts'
import {
  eventStatuses,
  placeEvent,
  putEvent,
  putVerdict,
  redactEvent,
  removeVerdict,
  restateEvent,
} from '#storage/events.ts'
import {
  addMissingParent,
  awaitRedacted,
  isRedactedNow,
  parentIsHere,
  passOnGaps,
  removeGapsAt,
} from '#storage/gaps.ts'
import { addToOutbox } from '#storage/outbox.ts'
import { addPartialEvent, setComplete, setPartial, stateOrigins } from '#storage/partial-rooms.ts'
import { addRelation, removeRelation } from '#storage/relations.ts'
import { addRoom, setImported, setImporting, setRoomHead } from '#storage/rooms.ts'
import { indexTerms, removeTerms } from '#storage/search-terms.ts'
import { unstagePdus } from '#storage/staging.ts'
import { putCurrentState, putStateKey } from '#storage/states.ts'
import { deleteStickyEvent } from '#storage/sticky-events.ts'
import { membershipCodeOf } from './membership-codes.ts'
import type { PartialRoom, StateOrigin } from './partial-room.ts'
import type { Head, Room } from './room.ts'
import type { EventStatus, LocalEvent, Position } from './rooms.ts'
import { bytesOf } from './state-versions.ts'
import { positionsOfSticky, writeSticky } from './sticky.ts'

export interface NewEvent {
  readonly pdu: Pdu
  readonly status: EventStatus
  /** Why, unless it was accepted. */
  readonly rule: string | undefined
  /** Of a soft-failed event: the version of the state that was current when it was judged. */
  readonly currentState?: number
  /** Of a soft-failed event: whether the room's policy server refused it. */
  readonly byPolicy?: boolean
  readonly stateBefore: number | undefined
  readonly stateAfter: number | undefined
  /** Where it stands: at the end of the timeline, at a given place in its history, or nowhere. */
  readonly place: 'end' | Position | 'nowhere'
  /** Parents that are not here, also those of refused events between it and them. */
  readonly missingParents: readonly EventId[]
  readonly destinations: readonly ServerName[]
  /** Where the state before it comes from, if it has one. */
  readonly origin: StateOrigin
  /** Whether it comes as news, and not as history. */
  readonly isLive: boolean
}

/** An event of a room whose state was partial, judged again. */
export interface Restated
  extends Pick<
    NewEvent,
    'pdu' | 'status' | 'rule' | 'currentState' | 'missingParents' | 'destinations'
  > {
  /** Whether what was thought of it stays as it was. */
  readonly keepsVerdict: boolean
  readonly stateBefore: number
  readonly stateAfter: number
  /** Where it stood. */
  readonly position: Position | undefined
  /** Where it stands: where it stood, at the end of the timeline, or nowhere. */
  readonly place: 'kept' | 'end' | 'nowhere'
}

export interface Redaction {
  readonly target: Pdu
  /** The event as it was. */
  readonly before: Pdu
  readonly by: EventId
}

/** Where an event stands once its position in the stream is known. */
export interface Placed {
  readonly event: NewEvent
  readonly position: Position | undefined
}

/** Where an event stands that was judged again. */
export interface Replaced {
  readonly event: Restated
  readonly position: Position | undefined
}

/** What became of a batch. */
export interface Written {
  readonly placed: readonly Placed[]
  readonly replaced: readonly Replaced[]
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
  readonly restated: Restated[] = []
  /** Whether the state of the room is partial from here on, or known whole. */
  #turns: 'partial' | 'whole' | undefined
  #was: PartialRoom | undefined
  #joined = 0
  /** How many of the room's `partial.events` were there before anything of this batch. */
  readonly #partialBefore: number
  /** Further statements of the unit. */
  readonly alongside: ((tx: Writer, first: number, placed: readonly Placed[]) => void)[] = []

  readonly #nextEventNid: () => number

  constructor(room: Room, nextEventNid: () => number, { isNewRoom = false } = {}) {
    this.#nextEventNid = nextEventNid
    this.room = room
    this.before = room.head
    room.events.forgetAbsent()
    this.isNewRoom = isNewRoom
    this.#partialBefore = room.partial?.events.length ?? 0
  }

  /** From here on the state of the room is not known whole. */
  becomesPartial(partial: Omit<PartialRoom, 'events'>): void {
    this.#was = this.room.partial
    this.room.partial = { ...partial, events: this.room.partial?.events ?? [] }
    this.#turns = 'partial'
  }

  /** The last `becomesPartial` is not to be, and nothing of the room has changed since. */
  staysAsBefore(): void {
    this.room.partial = this.#was
    this.#turns = undefined
  }

  /** From here on it is. `joined`: the position of our join in the stream. */
  becomesWhole(joined: number): void {
    this.room.partial = undefined
    this.#joined = joined
    this.#turns = 'whole'
  }

  get isBecomingWhole(): boolean {
    return this.#turns === 'whole'
  }

  /** An event has another state now, and is judged anew. */
  restate(event: Restated): void {
    const { pdu, status, stateBefore, stateAfter, position } = event
    this.restated.push(event)
    if (pdu.state_key !== undefined) this.room.setRejected(pdu.event_id, status === 'rejected')
    this.room.events.enter(pdu, {
      eventId: pdu.event_id,
      status,
      depth: pdu.depth,
      stateBefore,
      stateAfter,
      number: this.room.eventNumber(pdu.event_id),
      position: event.place === 'kept' ? position : undefined,
    })
  }

  /** Further statements of the unit about one of its events. */
  alongsideOf(eventId: EventId, write: NonNullable<LocalEvent['alongside']>): void {
    this.alongside.push((tx, _first, placed) => {
      const own = placed.find(({ event }) => event.pdu.event_id === eventId)
      write(tx, eventId, own?.position?.stream)
    })
  }

  /** How many positions of the stream the unit needs. */
  get positions(): number {
    const isAtEnd = ({ place }: NewEvent | Restated) => place === 'end'
    const placed = this.events.filter(isAtEnd).length + this.restated.filter(isAtEnd).length
    return placed + this.lateRedactions.length + positionsOfSticky(this.room, this.events)
  }

  get isEmpty(): boolean {
    return (
      this.events.length === 0 &&
      this.redactions.length === 0 &&
      this.unstaged.length === 0 &&
      this.restated.length === 0 &&
      this.#turns === undefined &&
      this.alongside.length === 0
    )
  }

  add(event: NewEvent): void {
    this.events.push(event)
    const { pdu, status, stateAfter } = event
    // What only refused events name is no gap in what anybody sees, unless one was known to be there.
    if (status === 'accepted' || this.room.missingParents.has(pdu.event_id)) {
      for (const missing of event.missingParents) this.room.missingParents.add(missing)
    }
    if (stateAfter !== undefined) this.#notePartial(event)
    this.#enter(event)
  }

  /** What is thought of one of the events has changed. */
  replace(at: number, event: NewEvent): void {
    this.events[at] = event
    this.#enter(event)
  }

  #enter({ pdu, status, stateBefore, stateAfter }: NewEvent): void {
    const { state_key } = pdu
    const number =
      state_key === undefined ? undefined : this.room.numberEvent(pdu, status === 'rejected')
    this.room.events.enter(pdu, {
      eventId: pdu.event_id,
      status,
      depth: pdu.depth,
      stateBefore,
      stateAfter,
      number,
      position: undefined,
    })
  }

  /** What finds its place while the state is partial will be judged again. */
  #notePartial({ pdu, origin, isLive }: NewEvent): void {
    const { events } = this.room.partial ?? {}
    const place = (events?.at(-1)?.place ?? 0) + 1
    events?.push({ place, eventId: pdu.event_id, origin, isLive })
  }

  /** The redaction takes effect in this batch. */
  redact(target: Pdu, by: EventId): void {
    const read = pduOf(target.version, redact(target.version, target.json), 'unlimited')
    if (typeof read === 'string') return
    this.redactions.push({ target: read.pdu, before: target, by })
    this.room.events.replacePdu(read.pdu)
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
    this.#writePartial(tx)
    const replaced = this.restated.map((event) => {
      const position = event.place === 'end' ? { stream: stream++, sub: 0 } : placeAfter(event)
      this.#writeRestated(tx, event, position)
      return { event, position }
    })
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
    writeSticky(tx, room, [...replaced, ...placed], () => stream++)
    // A change of state alone has a position, too.
    const last = Math.max(first, stream - 1)
    this.#writeRest(tx, last)
    for (const more of this.alongside) more(tx, first, placed)
    if (this.#turns === 'whole')
      setComplete(tx, room.roomNid, { joined: this.#joined, stream: last })
    return { placed, replaced, states, last, late }
  }

  #writePartial(tx: Writer): void {
    const { roomNid, partial } = this.room
    if (partial === undefined) return
    const { resident, servers, sinceTs, isNew, events } = partial
    if (this.#turns === 'partial') {
      setPartial(tx, roomNid, {
        resident,
        servers: JSON.stringify([...servers]),
        since_ts: sinceTs,
        is_new: Number(isNew),
      })
    }
    for (const { place, eventId, origin, isLive } of events.slice(this.#partialBefore)) {
      addPartialEvent(tx, roomNid, {
        place,
        event_id: eventId,
        origin: stateOrigins.indexOf(origin),
        is_live: Number(isLive),
      })
    }
  }

  #writeRestated(tx: Writer, event: Restated, position: Position | undefined): void {
    const { roomNid } = this.room
    const { pdu, status, rule, currentState = null, stateBefore, stateAfter } = event
    const eventId = pdu.event_id
    restateEvent(tx, roomNid, {
      event_id: eventId,
      status: eventStatuses.indexOf(status),
      stream: position?.stream ?? null,
      sub: position?.sub ?? null,
      state_before: stateBefore,
      state_after: stateAfter,
    })
    if (rule !== undefined) putVerdict(tx, roomNid, eventId, { rule, current_state: currentState })
    else if (!event.keepsVerdict) removeVerdict(tx, roomNid, eventId)
    if (event.place === 'end' && position !== undefined) {
      this.#writeRelation(tx, pdu, position)
      // It was looked through when it stood nowhere.
      indexTerms(tx, { roomNid, eventId }, this.room.events.cachedPdu(eventId) ?? pdu)
    }
    if (position !== undefined) this.#writePlaced(tx, event, position)
    else if (event.position !== undefined) this.#withdraw(tx, pdu, event.position)
  }

  /** Takes away what went with an event's place in the timeline. */
  #withdraw(tx: Writer, pdu: Pdu, position: Position): void {
    const { roomNid } = this.room
    const { event_id: eventId } = pdu
    removeGapsAt(tx, roomNid, position)
    const relation = relationOf(pdu.content)
    if (relation !== undefined) removeRelation(tx, roomNid, relation, eventId)
    removeTerms(tx, { roomNid, eventId, place: position }, pdu)
  }

  /** What goes with an event's place in the timeline. */
  #writePlaced(
    tx: Writer,
    { pdu, missingParents, destinations }: NewEvent | Restated,
    position: Position,
  ): void {
    const { roomId, roomNid } = this.room
    for (const missing of missingParents) addMissingParent(tx, roomNid, { ...position, missing })
    if (destinations.length === 0) return
    addToOutbox(tx, { stream: position.stream, roomId, eventId: pdu.event_id, destinations })
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
    // What came with a room's state was looked through when it stood nowhere. Messages wait their turn.
    if (pdu.state_key !== undefined && status === 'accepted') {
      indexTerms(tx, { roomNid: room.roomNid, eventId: pdu.event_id }, pdu)
    }
    this.#writePlaced(tx, event, position)
  }

  /** How an event that takes its place in the timeline is related to another; not if it is redacted. */
  #writeRelation(tx: Writer, pdu: Pdu, place: Position): void {
    const { room } = this
    const { event_id: eventId, type, sender, origin_server_ts } = pdu
    const relation = relationOf((room.events.cachedPdu(eventId) ?? pdu).content)
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
    for (const { target, by, before } of this.redactions) {
      const eventId = target.event_id
      const { roomNid } = room
      redactEvent(tx, roomNid, { eventId, redactedBy: by, bytes: target.bytes })
      const relation = relationOf(before.content)
      if (relation !== undefined) removeRelation(tx, roomNid, relation, eventId)
      removeTerms(tx, { roomNid, eventId }, before)
      // A redacted sticky event is the same as a normal event.
      if (stickyMsOf(before) !== undefined) deleteStickyEvent(tx, room.roomId, eventId)
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

function placeAfter({ place, position }: Restated): Position | undefined {
  return place === 'kept' ? position : undefined
}

function placeOf({ place }: NewEvent): Position | undefined {
  return typeof place === 'string' ? undefined : place
}
