/**
 * What one turn of a room's queue brings, collected to be committed as one unit: events, verdicts with
 * their rules, states, forward extremities, redactions. The room in memory follows it at once, so that
 * each event is judged on what those before it have made of the room. `write-batch.ts` makes
 * statements of it.
 *
 * @module
 */

import type { EventId, ServerName } from '#protocol/identifiers/ids.ts'
import { pduOf } from '#protocol/parse-pdu.ts'
import type { Pdu } from '#protocol/pdu.ts'
import { redact } from '#protocol/redaction.ts'
import type { Writer } from '#storage/database.ts'
import type { PartialEvent, PartialRoom, StateOrigin } from './partial-room.ts'
import type { Head, Room } from './room.ts'
import type { EventStatus, LocalEvent, Position } from './rooms.ts'
import { positionsOfSticky } from './sticky.ts'

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
  /** Gives each event that is written a number of its own. */
  readonly nextEventNid: () => number

  constructor(room: Room, nextEventNid: () => number, { isNewRoom = false } = {}) {
    this.nextEventNid = nextEventNid
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

  get isBecomingPartial(): boolean {
    return this.#turns === 'partial'
  }

  get isBecomingWhole(): boolean {
    return this.#turns === 'whole'
  }

  /** The position of our join in the stream, if the state of the room becomes whole. */
  get joined(): number {
    return this.#joined
  }

  /** What found its place in this batch while the state was partial. */
  get partialEvents(): readonly PartialEvent[] {
    return this.room.partial?.events.slice(this.#partialBefore) ?? []
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
}
