/**
 * The timeline engine as the rest of the house sees it.
 *
 * Order: each room has one total order of its timeline on this server, that of `Position`, and
 * `/sync` and `/messages` both follow it, so that no client sees an event twice or misses one. An
 * event that reaches us live stands at `{stream: S, sub: 0}`, where S is the position of its commit
 * in the one stream of this server. History that is fetched later stands before the event whose
 * past it fills: `{stream: S, sub: -1}`, `{stream: S, sub: -2}` and so on, going back. An event that
 * was found by its time, with more missing around it, stands at a position that nothing else in the
 * room has.
 *
 * Looking up an event always names its room; an event of another room is answered exactly like one
 * that does not exist.
 *
 * @module
 */

import type { EventId, RoomId, ServerName, UserId } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'
import type { Pdu } from '#protocol/pdu.ts'
import type { RoomVersion } from '#protocol/room-version.ts'
import type { Writer } from '#storage/database.ts'
import type { AdministeredRooms } from './administered-rooms.ts'

export interface Position {
  readonly stream: number
  readonly sub: number
}

export type Membership = 'invite' | 'join' | 'knock' | 'leave' | 'ban'

/** What this server thinks of an event it has stored. Kept apart: none is confused with another. */
export type EventStatus = 'accepted' | 'soft_failed' | 'rejected' | 'outlier'

export interface StoredEvent {
  readonly pdu: Pdu
  readonly status: EventStatus
  /**
   * Whether it has its place in the room's graph, with a state before it. Outliers have none, nor has
   * what was rejected as part of an auth chain until it comes as what others follow.
   */
  readonly isPlaced: boolean
  /** Where it stands in the timeline; `undefined` for what no client sees there. */
  readonly position: Position | undefined
  /**
   * Whether history right before it in the timeline is missing here: a parent of it is not known,
   * and `fillHistory` before its position may bring some. `/sync` ends a timeline there, so that
   * clients page back from it and meet what is fetched later.
   */
  readonly gapBefore: boolean
  /** The redaction that was applied to it; `pdu` is the redacted event then. */
  readonly redactedBy: EventId | undefined
}

/** A room's state at some moment: a map from (type, state key) to event, read as needed. */
export interface StateView {
  eventId(type: string, stateKey: string): EventId | undefined
  event(type: string, stateKey: string): Promise<Pdu | undefined>
  /** All entries, in the order in which this server has met their keys in the room. */
  ids(): { readonly type: string; readonly stateKey: string; readonly eventId: EventId }[]
  /** Several events at once; those that are not there are left out. Without a filter, all. */
  events(filter?: (type: string, stateKey: string) => boolean): Promise<Pdu[]>
  readonly size: number
  /** Whether a user is joined. No event is read for it. */
  isJoined(userId: UserId): boolean
  /** All users that are joined. */
  joined(): UserId[]
  /**
   * The users by whom a room without a name is known to `self`: the first of those who are joined or
   * invited, as far as is known here, else of those who have left or are banned. No event is read.
   */
  firstMembers(max: number, self: UserId): UserId[]
}

/** How who is joined to a room differs between two moments. */
export interface MemberChanges {
  /** Users who were not joined before. */
  readonly joined: readonly UserId[]
  /** Users who are joined no longer. */
  readonly gone: readonly UserId[]
  /** Servers none of whose users was joined before. */
  readonly newServers: readonly ServerName[]
  /** Servers none of whose users is joined any longer. */
  readonly goneServers: readonly ServerName[]
}

/** One change of a room's current state. */
export interface StateChange {
  readonly type: string
  readonly stateKey: string
  readonly before: EventId | undefined
  readonly after: EventId | undefined
}

/** What one commit brought, told after it is durable and in the order of the stream. */
export interface RoomCommit {
  readonly roomId: RoomId
  readonly stream: number
  /** New events at the end of the timeline. */
  readonly timeline: readonly StoredEvent[]
  readonly stateChanges: readonly StateChange[]
  readonly memberChanges: MemberChanges
  /** Local users whose membership changed, also by an invite from outside. */
  readonly memberships: readonly { userId: UserId; membership: Membership }[]
  /** Servers for which outbox rows were written. */
  readonly destinations: readonly ServerName[]
}

/** A local user's relation to a room, also to rooms this server is not in (invites, knocks). */
export interface LocalMembership {
  readonly roomId: RoomId
  readonly userId: UserId
  readonly membership: Membership
  /**
   * The event that says so. Where a membership ended without one, that which it was by: an invite that
   * nobody helped to reject, a join that state resolution took away.
   */
  readonly eventId: EventId
  readonly sender: UserId
  /** When it became so, in the stream. */
  readonly stream: number
  readonly forgotten: boolean
  /**
   * For invites and knocks: the stripped state the client is shown. For what ended while this server was
   * not in the room: the event by which it did, in the clients' format.
   */
  readonly strippedState: readonly JsonObject[]
  /** Whether this server is in the room, so that its timeline can be read. */
  readonly serverInRoom: boolean
}

/** An event that a local user wants to send; the rest of it is built here. */
export interface LocalEvent {
  readonly sender: UserId
  readonly type: string
  readonly state_key?: string
  readonly content: JsonObject
  readonly redacts?: EventId
  /** For how long the event sticks, if it does: up to `stickyMsMax`. */
  readonly stickyMs?: number
  /** Overrides the clock (application services). */
  readonly origin_server_ts?: number
  /** Statements for the commit of the event, to be durable with it: the client's transaction ID. */
  readonly alongside?: (tx: Writer, eventId: EventId, stream: number | undefined) => void
}

/** A room of whose state members were left out when we joined, and are not known yet. */
export interface PartialState {
  /** Who gave us the room. */
  readonly resident: ServerName
  /** Those that were in the room before us, as the resident said. */
  readonly servers: ReadonlySet<ServerName>
  readonly sinceTs: number
  /** Whether nobody of ours had been in the room before. */
  readonly isNew: boolean
}

/** Statements for the commit of a room that is made, to be durable with it: what leads to it. */
export type AlongsideRoom = (tx: Writer, roomId: RoomId) => void

/**
 * The type of an event that says nothing and only merges the ends of a room. Synapse sends it, too.
 * Clients are not shown it.
 */
export const mergingEventType = 'org.matrix.dummy_event'

export interface Rooms extends AdministeredRooms {
  // Writing, for local users. All throw `MatrixError`: 403 `M_FORBIDDEN` with the auth rule that
  // refuses, 404 `M_NOT_FOUND` for a room we do not know.

  /**
   * Makes a room: the create event, the creator's join, then `events`, all in one commit.
   * `createContent` is without `room_version` and `creator`. `events` are sent by the creator unless
   * they name another local sender.
   */
  createRoom(request: {
    readonly creator: UserId
    readonly version: RoomVersion
    readonly createContent: JsonObject
    readonly joinContent: JsonObject
    readonly events: readonly Omit<LocalEvent, 'sender'>[]
    readonly alongside?: AlongsideRoom
  }): Promise<RoomId>
  /** Builds, authorises, signs, commits and queues one event. Not for joining a room we are not in, nor for invites of remote users. */
  send(roomId: RoomId, event: LocalEvent): Promise<EventId>
  /** Joins, through this server if it is in the room, else through the servers of `via` and of the invite. */
  join(request: {
    readonly userId: UserId
    readonly roomId: RoomId
    readonly via: readonly ServerName[]
    /** Further keys of the event's content: `displayname`, `avatar_url`, `reason`. */
    readonly content: JsonObject
    readonly thirdPartySigned?: JsonObject
  }): Promise<EventId>
  /** Leaves, or rejects an invite, or takes back a knock; also where only another server can help. */
  leave(request: {
    readonly userId: UserId
    readonly roomId: RoomId
    readonly content: JsonObject
  }): Promise<void>
  knock(request: {
    readonly userId: UserId
    readonly roomId: RoomId
    readonly via: readonly ServerName[]
    readonly content: JsonObject
  }): Promise<EventId>
  /** Invites a local or remote user. */
  invite(request: {
    readonly sender: UserId
    readonly target: UserId
    readonly roomId: RoomId
    readonly content: JsonObject
  }): Promise<EventId>
  /**
   * Invites a local user who has shown that an address is theirs which was invited, also to rooms that
   * this server is not in. Throws a `MatrixError` if the invitation does not hold.
   */
  redeemThirdPartyInvite(invite: {
    readonly roomId: RoomId
    /** Who made the invitation. */
    readonly sender: UserId
    readonly target: UserId
    /** What the identity server signed. */
    readonly signed: JsonObject
  }): Promise<void>
  /**
   * Takes in an event of a room that this server is not in, which ends an invite or a knock of one of its
   * users. Gives the event's ID, or `undefined` if it is no such event.
   */
  endFromOutside(origin: ServerName, pdu: Uint8Array): Promise<EventId | undefined>
  /** Makes the user not see a room they have left. 400 `M_UNKNOWN` if they are still in it. */
  forget(userId: UserId, roomId: RoomId): Promise<void>

  // Reading.

  /** The version of a room this server knows, or `undefined`. */
  version(roomId: RoomId): Promise<RoomVersion | undefined>
  /** Rooms of which this server holds a timeline, by their IDs, from after one on. */
  known(range: { readonly after: string; readonly limit: number }): Promise<RoomId[]>
  /** Whether this server has a joined user in the room. */
  isServerInRoom(server: ServerName, roomId: RoomId): Promise<boolean>
  /** The servers with a joined user in the current state. */
  serversInRoom(roomId: RoomId): Promise<ServerName[]>
  currentState(roomId: RoomId): Promise<StateView | undefined>
  /** What is known of a room whose state is not known whole; `undefined` if it is, or there is no room. */
  partialState(roomId: RoomId): Promise<PartialState | undefined>
  /** Whether what is kept as the state before an event is a guess, which nobody else is to be told. */
  isStateGuessed(roomId: RoomId, eventId: EventId): Promise<boolean>
  /** Where in the stream such a room was joined, the last time, and where its state was known whole. */
  completion(
    roomId: RoomId,
  ): Promise<{ readonly joined: number; readonly completed: number } | undefined>
  /**
   * Waits until the state of a room is known whole, but at most for a time. Gives whether it is. At
   * once, if it is already.
   */
  wholeState(roomId: RoomId, limitMs: number): Promise<boolean>
  /** Asks other servers for the whole state of a room now, if it is partial. */
  completeState(roomId: RoomId): void
  /** The state after the event (its own change included), or `undefined` if it is not known. */
  stateAfter(roomId: RoomId, eventId: EventId): Promise<StateView | undefined>
  /** The state before the event. */
  stateBefore(roomId: RoomId, eventId: EventId): Promise<StateView | undefined>
  /** The same of several events, by their IDs. */
  statesBefore(
    roomId: RoomId,
    eventIds: readonly EventId[],
  ): Promise<ReadonlyMap<EventId, StateView>>
  /** Any stored event of this room, whatever its status. */
  event(roomId: RoomId, eventId: EventId): Promise<StoredEvent | undefined>
  events(roomId: RoomId, eventIds: readonly EventId[]): Promise<StoredEvent[]>
  /** The rooms with an event of this ID: in the first room versions there may be several. */
  roomsWithEvent(eventId: EventId): Promise<RoomId[]>
  /** The bytes of such events, in the order of the IDs. */
  eventBytes(roomId: RoomId, eventIds: readonly EventId[]): Promise<Uint8Array[]>
  /**
   * Timeline events, accepted ones only. `backwards`: those at or before `from` going back, `from`
   * excluded; `forwards`: those after `from`. `until`, excluded on the far side, may end it earlier.
   */
  timeline(
    roomId: RoomId,
    range: {
      readonly from: Position
      readonly until?: Position
      readonly direction: 'backwards' | 'forwards'
      readonly limit: number
    },
  ): Promise<StoredEvent[]>
  /** Changes of the current state in the stream after `from`, up to and including `to`, the last of each key, with `before` as it was at `from`. */
  stateChanges(
    roomId: RoomId,
    range: { readonly from: number; readonly to: number },
  ): Promise<StateChange[]>
  /** Who has joined and who has gone in the stream after `from`, up to and including `to`. */
  memberChanges(
    roomId: RoomId,
    range: { readonly from: number; readonly to: number },
  ): Promise<MemberChanges>
  /** The current state as it was at a position in the stream. */
  stateAtStream(roomId: RoomId, stream: number): Promise<StateView | undefined>
  /**
   * The last event of the timeline before a position of the stream that is a user's membership, whatever
   * the state is: a state that was given with a join may have another, which stands nowhere.
   */
  lastMemberEvent(roomId: RoomId, userId: UserId, before: number): Promise<StoredEvent | undefined>
  /** All rooms a local user has to do with, but forgotten ones unless asked for. */
  membershipsOf(
    userId: UserId,
    options?: { readonly forgotten?: boolean },
  ): Promise<LocalMembership[]>
  membership(userId: UserId, roomId: RoomId): Promise<LocalMembership | undefined>
  /** The rooms with commits after `from`, out of `rooms`, with the newest commit of each. */
  roomsChangedSince(from: number, rooms: readonly RoomId[]): Promise<Map<RoomId, number>>
  /** Those of some local users who wished all that they said to be forgotten. */
  erasedAmong(userIds: readonly UserId[]): Promise<ReadonlySet<UserId>>
  /** Local users joined to the room. */
  localMembers(roomId: RoomId): Promise<UserId[]>
  /** Local users who are in the room, or may yet be: joined, invited, knocking. */
  localUsersOf(roomId: RoomId): Promise<UserId[]>
  /** How many members are joined in the current state; 0 in a room we do not know. */
  joinedMemberCount(roomId: RoomId): Promise<number>
  /** The rooms with a local user to which a user, of any server, is joined too. */
  joinedRoomsOf(userId: UserId): Promise<RoomId[]>
  /** The rooms with a local user whose state changed in the stream after `from`. */
  roomsWithStateSince(from: number): Promise<RoomId[]>
  /** Joined members in the current state. */
  joinedMembers(roomId: RoomId): Promise<UserId[]>
  /** Who has a membership in the current state. No event is read for it. */
  membersWith(roomId: RoomId, membership: Membership): Promise<UserId[]>
  /**
   * Fetches history before a position from other servers, if there is a gap there, and commits it.
   * Gives how many events it brought. Never throws for what other servers do.
   */
  fillHistory(roomId: RoomId, before: Position, limit: number): Promise<number>

  /**
   * Events of the timeline by their `origin_server_ts`: those at `ts` or on from it in a direction, the
   * nearest first.
   */
  eventsByTime(
    roomId: RoomId,
    search: {
      readonly ts: number
      readonly direction: 'backwards' | 'forwards'
      readonly limit: number
    },
  ): Promise<{ readonly eventId: EventId; readonly ts: number }[]>
  /**
   * Asks other servers for an event nearer to a time than those known here, if history is missing
   * there, and takes it in. Gives whether it did. Never throws for what other servers do.
   */
  fetchByTime(
    roomId: RoomId,
    search: { readonly ts: number; readonly direction: 'backwards' | 'forwards' },
  ): Promise<boolean>

  /** Calls `listener` after each commit, in stream order. */
  onCommit(listener: (commit: RoomCommit) => void): void
  close(): Promise<void>
}
