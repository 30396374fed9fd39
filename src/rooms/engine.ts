/**
 * The timeline engine as the rest of `rooms/` sees it: how events get into a room.
 *
 * Bytes become PDUs in one place only, `admit`. What was admitted enters a room by one of these:
 * - `receive`: live events, in the order of their graph, with all checks on receipt of a PDU;
 * - `storeOutliers`: events we need to know though we do not know the room around them;
 * - `acceptHistory`: events older than what we have;
 * - `importRoom`: a whole room, after joining it through another server;
 * - `send` and `sendBuilt`: events of our own users.
 *
 * Each of them waits for its turn in the room's queue by itself, takes its turn without asking any
 * other server, and resolves when its commit is durable. So nobody holds a queue while waiting for
 * the network: who asks other servers does it outside, between two of these calls.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#checks-performed-on-receipt-of-a-pdu
 *
 * @module
 */

import type { CheckedPdu } from '#io/pdu-checker.ts'
import type { Verdict } from '#protocol/auth-rules/verdict.ts'
import type { EventDraft } from '#protocol/build-pdu.ts'
import type { EventId, RoomId, ServerName, UserId } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'
import type { Pdu } from '#protocol/pdu.ts'
import type { RoomVersion } from '#protocol/room-version.ts'
import type { Writer } from '#storage/database.ts'
import type { LocalEvent, Membership, Position } from './rooms.ts'
import type { Unproved } from './unproved-state.ts'

/** By which operation a PDU reached us. */
export type Route =
  | 'send'
  | 'send_join'
  | 'send_join response'
  | 'send_leave'
  | 'send_knock'
  | 'invite'
  | 'invite response'
  | 'invite_room_state'
  | 'exchange_third_party_invite'
  | 'backfill'
  | 'get_missing_events'
  | 'event'
  | 'state'
  | 'event_auth'
  | 'sign'

/** What became of an event. */
export type Outcome =
  | { readonly eventId: EventId; readonly outcome: 'accepted' | 'outlier' }
  /** It was there already, with a verdict that stands. */
  | { readonly eventId: EventId; readonly outcome: 'known' }
  /** Stored, or with `mustBeAccepted` not stored; `rule` says why. */
  | {
      readonly eventId: EventId
      readonly outcome: 'soft_failed' | 'rejected'
      readonly rule: string
    }
  /** Not stored: no verdict is possible without these events. */
  | {
      readonly eventId: EventId
      readonly outcome: 'missing'
      /** Events of `prev_events` that are not here, or only as outliers. */
      readonly prevEvents: readonly EventId[]
      readonly authEvents: readonly EventId[]
    }

/**
 * The states before some events, where their history is missing here: IDs of state events, all of them
 * stored already (`storeOutliers`). `unknown`, in a room whose state is partial, is one that is to be
 * asked for when the room's own is known.
 */
export type StatesBefore = ReadonlyMap<EventId, StateBefore>
export type StateBefore = readonly EventId[] | 'unknown' | StateAfter

/** Those that other servers were asked for; `unknown` is one that nobody gave. */
export type ToldStates = ReadonlyMap<EventId, readonly EventId[] | 'unknown'>

/**
 * The state after these events, which are in the room: between them and the event that it is before are
 * only such as cannot be proved. Not in a room whose state is partial.
 */
export interface StateAfter {
  readonly after: readonly EventId[]
}

/** What is wrong with a state that another server gives before our join. */
export interface Contradiction {
  /** A sentence. */
  readonly problem: string
  /** Whether by that state we could not have joined; else it is not what we were given at the join. */
  readonly bars: boolean
}

export interface ReceiveOptions {
  readonly origin: ServerName
  /** Sends the accepted events on to the other servers in the room: the resident server's part in joins, leaves and knocks. */
  readonly relay?: boolean
  /** Stores nothing of an event that would be rejected or soft-failed: for those who wait for our answer. */
  readonly mustBeAccepted?: boolean
  /** Events that are named here get a gap before them. */
  readonly statesBefore?: StatesBefore
}

/** A whole room, as a resident server gives it when we join. All PDUs are admitted. */
export interface RoomImport {
  readonly roomId: RoomId
  readonly version: RoomVersion
  /** Our own membership event, which ends what is imported. */
  readonly event: Pdu
  /** The state before it. */
  readonly state: readonly Pdu[]
  readonly authChain: readonly Pdu[]
  /** The servers that were in the room before us, if members are left out of the state. */
  readonly partial?: { readonly servers: readonly ServerName[] } | undefined
  /** Events that were given as part of the state and did not pass the door. */
  readonly unproved?: Unproved
}

/** A membership of a local user in a room that this server is not in. */
export interface OutsideMembership {
  readonly roomId: RoomId
  readonly userId: UserId
  readonly membership: Membership
  /** The event that says so; where an invite or a knock ends on this server alone, that of which it is the end. */
  readonly event: Pick<Pdu, 'event_id' | 'sender'>
  readonly strippedState: readonly JsonObject[]
}

/** Events that were taken in: `undefined`, or the error for which one was dropped. */
export type TakenIn = ReadonlyMap<EventId, string | undefined>

export type TakenInAlongside = (tx: Writer, taken: TakenIn) => void

/** A place in a room's history where events are missing. */
export interface Gap {
  /** The event before which they are missing, and where it stands. */
  readonly eventId: EventId
  readonly position: Position
  /** Those of its `prev_events` that are missing. */
  readonly missing: readonly EventId[]
}

export interface Engine {
  /**
   * The one door: what other servers gave becomes PDUs, or is dropped. Gets the keys, then checks
   * format, signatures and hashes. The answers are in the order of `pdus`. Never throws for what is
   * in the bytes.
   */
  admit(
    version: RoomVersion,
    pdus: readonly Uint8Array[],
    from: { readonly origin: ServerName; readonly route: Route },
  ): Promise<CheckedPdu[]>

  /**
   * Takes in live events of one room, in any order. Those whose history is not complete are
   * `missing` and not stored. Nothing if the room is not known. One commit.
   */
  receive(roomId: RoomId, pdus: readonly Pdu[], options: ReceiveOptions): Promise<Outcome[]>

  /**
   * Stores events without their place in the room: auth chains, state. Each is checked on its own
   * auth events, which must be here or among `pdus`. Those already here stay as they are. In several
   * commits, if they are many.
   */
  storeOutliers(roomId: RoomId, pdus: readonly Pdu[], origin: ServerName): Promise<Outcome[]>

  /**
   * Takes in history: events from before the gap at `before`, which is the position of the event
   * after it. They are given positions right before it. Their states are computed from their
   * `prev_events`, or from `statesBefore` for those whose parents are missing here too; one that has
   * neither is `missing`. What the gap still lacks afterwards is in `gaps`. Nothing is taken in if the
   * gap is not there any more.
   */
  acceptHistory(
    roomId: RoomId,
    pdus: readonly Pdu[],
    options: {
      readonly before: Position
      readonly origin: ServerName
      readonly statesBefore: StatesBefore
      /**
       * Whether further history may be missing between them and the gap, which will be put in between
       * then. Nothing is taken in if there is no room for that.
       */
      readonly apart?: boolean
    },
  ): Promise<Outcome[]>

  /**
   * Takes in a whole room, or jumps to the given state in a room that is known already but that no
   * user of ours is in. Visible only once it is complete. If it is refused, nothing is left of it but
   * outliers of a room that was known before.
   */
  importRoom(room: RoomImport, origin: ServerName): Promise<Verdict>

  /**
   * The events of a room with partial state before which the state is still to be asked for: first our
   * last join, without which nothing can be completed. None if the state of the room is whole.
   */
  unknownStates(roomId: RoomId): Promise<EventId[]>
  /**
   * How a state that another server gives before a join of ours contradicts that join, if it does; of
   * other events nothing is said.
   */
  contradiction(
    roomId: RoomId,
    join: EventId,
    stateIds: readonly EventId[],
  ): Promise<Contradiction | undefined>
  /**
   * Completes the state of a room: judges again, in several turns, all that found its place since our
   * join, by the states that are told, of which all events are stored; `unknown` is one that was asked
   * for in vain. Gives whether the state is whole then. It is not if one is lacking that was not asked
   * for.
   */
  completeRoom(roomId: RoomId, states: ToldStates): Promise<boolean>
  /**
   * Whether a user of ours is in a room with partial state only by what a branch from before our join
   * makes of it: then they are out, as far as we know, and nobody would take what they say.
   */
  isInByOldBranch(roomId: RoomId, userId: UserId): Promise<boolean>
  /** Notes that the whole state of a room was asked for in vain, and why. */
  noteIncomplete(roomId: RoomId, problem: string): Promise<void>
  /** Remembers events that are part of a state, and that nobody could prove when it was taken. */
  noteUnproved(roomId: RoomId, events: Unproved): Promise<void>

  /** An event of a local user: built, checked, signed, committed and queued for other servers. */
  send(roomId: RoomId, event: LocalEvent): Promise<EventId>
  /**
   * Commits an event that `build` made, with the signatures that others have added, and queues it for
   * the servers in the room. Throws `MatrixError` 403 if it is not allowed by then.
   */
  sendBuilt(roomId: RoomId, pdu: Pdu): Promise<EventId>
  /** The same event, signed by us, but not committed. Throws `MatrixError` 403 if it is not allowed. */
  build(roomId: RoomId, event: LocalEvent): Promise<Pdu>
  /**
   * An event with its `auth_events`, `prev_events` and `depth`, and what the auth rules say of it
   * now: the template that a resident server gives to users of other servers. Not signed.
   */
  draft(
    roomId: RoomId,
    event: LocalEvent,
  ): Promise<{
    readonly version: RoomVersion
    readonly draft: EventDraft
    readonly verdict: Verdict
  }>

  /**
   * Records the membership of a local user in a room which this server is not in: an invite that
   * came from outside, a knock, and the end of either.
   */
  recordOutside(membership: OutsideMembership): Promise<void>

  /**
   * Takes responsibility for the PDUs of a transaction: admits and stages them, and resolves once they
   * are durable, with what is to be answered for each event that could be told apart: `undefined`, or
   * the error for which it was dropped. They are worked off afterwards, by `receive` and the
   * `GapFiller`, also after a crash. `alongside` adds to the same unit.
   */
  takeIn(
    origin: ServerName,
    pdus: readonly Uint8Array[],
    alongside?: TakenInAlongside,
  ): Promise<TakenIn>
  /** Resolves when nothing that was taken in is still being worked on. For tests and orderly ends. */
  settled(): Promise<void>

  /** Those of the events that are not stored here at all, not even as outliers. */
  unknownOf(roomId: RoomId, eventIds: readonly EventId[]): Promise<EventId[]>
  /** A place of a state for which it has two events that are not rejected; no state of a room has one. */
  placeOfTwo(
    roomId: RoomId,
    stateIds: readonly EventId[],
  ): Promise<{ readonly type: string; readonly stateKey: string } | undefined>
  /**
   * The union of the auth chains of these events, which are in it only if others of them need them.
   * The create event of a version 12 room is in no `auth_events`, and belongs to every chain.
   */
  authChain(roomId: RoomId, eventIds: readonly EventId[]): Promise<EventId[]>
  /** Gaps at or before a position, the latest first. */
  gaps(roomId: RoomId, from: Position, limit: number): Promise<Gap[]>
  /** The events that our next event will have as `prev_events`. */
  forwardExtremities(roomId: RoomId): Promise<EventId[]>
  /** The room of a stored event. For `/event`, which names no room. */
  roomOfEvent(eventId: EventId): Promise<RoomId | undefined>
}

/**
 * Fetches what an event lacks. Called outside the room's queue, for one event of a room at a time.
 */
export interface GapFiller {
  /**
   * Brings, by calls of the engine, what makes a verdict on `pdu` possible: the missing events
   * (`receive`), its auth chain (`storeOutliers`), or else the state before it (`receive` with
   * `statesBefore`). The engine tries the event again afterwards. Never throws for what other servers
   * do: what could not be had stays missing, and the event waits for another try.
   */
  fill(roomId: RoomId, pdu: Pdu, missing: Missing): Promise<void>
}

/** What an event lacks, and who sent it. */
export interface Missing {
  readonly prevEvents: readonly EventId[]
  readonly authEvents: readonly EventId[]
  readonly origin: ServerName
}
