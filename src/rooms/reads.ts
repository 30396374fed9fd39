/**
 * What can be read of rooms: only what is committed, and always in the room that was named.
 *
 * @module
 */

import type { EventId, RoomId, ServerName, UserId } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'
import { erasedAmong } from '#storage/accounts.ts'
import {
  eventRows,
  eventStatuses,
  eventsAfter,
  eventsBefore,
  newestPositions,
  type PlacedEventRow,
  roomOfEvent,
  roomsOfEvent,
  statesBeforeEvents,
} from '#storage/events.ts'
import {
  localUsersOf,
  localUsersWith,
  type MembershipRow,
  membershipRow,
  membershipRows,
} from '#storage/memberships.ts'
import { completedRow, type PartialRoomRow, partialRoomRows } from '#storage/partial-rooms.ts'
import { roomsAfter } from '#storage/rooms.ts'
import { currentStateAt, roomsWithStateSince, sharedRoomsWithMember } from '#storage/states.ts'
import type { IncompleteRoom } from './administered-rooms.ts'
import { stateDifference } from './commit.ts'
import type { ReadParts } from './engine-parts.ts'
import { eventsByTime } from './events-by-time.ts'
import { explainEvent, explainWaiting } from './explain-event.ts'
import {
  joinedServers,
  memberDifference,
  membersWith,
  noMemberChanges,
  serversIn,
} from './joined.ts'
import { codeOf, joinCode } from './membership-codes.ts'
import type { Room } from './room.ts'
import { roomGraph } from './room-graph.ts'
import type {
  LocalMembership,
  MemberChanges,
  Membership,
  Position,
  Rooms,
  StateChange,
  StateView,
  StoredEvent,
} from './rooms.ts'
import { stateView } from './state-view.ts'

export type RoomReads = Pick<
  Rooms,
  | 'version'
  | 'isServerInRoom'
  | 'serversInRoom'
  | 'currentState'
  | 'partialState'
  | 'isStateGuessed'
  | 'partialRooms'
  | 'completion'
  | 'stateAfter'
  | 'stateBefore'
  | 'statesBefore'
  | 'event'
  | 'events'
  | 'eventBytes'
  | 'eventsByTime'
  | 'timeline'
  | 'stateChanges'
  | 'memberChanges'
  | 'stateAtStream'
  | 'lastMemberEvent'
  | 'membershipsOf'
  | 'membership'
  | 'roomsChangedSince'
  | 'localMembers'
  | 'localUsersOf'
  | 'joinedRoomsOf'
  | 'roomsWithStateSince'
  | 'joinedMemberCount'
  | 'joinedMembers'
  | 'membersWith'
  | 'graph'
  | 'known'
  | 'explain'
  | 'explainWaiting'
  | 'roomsWithEvent'
  | 'erasedAmong'
>

const beginning: Position = { stream: -1, sub: 0 }
const end: Position = { stream: Number.MAX_SAFE_INTEGER, sub: 0 }

export function createReads(parts: ReadParts): RoomReads {
  const { db, queues } = parts
  const room = (roomId: RoomId) => queues.room(roomId)
  const events = (roomId: RoomId, ids: readonly EventId[]) => storedEvents(parts, roomId, ids)
  return {
    events,
    event: async (roomId, eventId) => (await events(roomId, [eventId]))[0],
    eventBytes: async (roomId, ids) => (await (await room(roomId))?.events.bytesOf(ids)) ?? [],
    eventsByTime: (roomId, search) => eventsByTime(parts, roomId, search),
    version: async (roomId) => (await room(roomId))?.version,
    isServerInRoom: async (server, roomId) => {
      const found = await room(roomId)
      if (found === undefined) return false
      if (found.publishedPartial?.servers.has(server)) return true
      return (await joinedServers(found, found.published.state)).has(server)
    },
    serversInRoom: async (roomId) => {
      const found = await room(roomId)
      return found ? await serversIn(found, found.published.state, found.publishedPartial) : []
    },
    partialState: async (roomId) => (await room(roomId))?.publishedPartial,
    isStateGuessed: async (roomId, eventId) => (await room(roomId))?.guessed.has(eventId) ?? false,
    partialRooms: async () => (await partialRoomRows(db)).map(incompleteRoom),
    completion: async (roomId) => {
      const found = await room(roomId)
      const row = found && (await completedRow(db, found.roomNid))
      return row && { joined: row.joined, completed: row.stream }
    },
    currentState: async (roomId) => {
      const found = await room(roomId)
      return found && (await stateView(found, found.published.state))
    },
    stateAfter: (roomId, eventId) => stateAt(parts, roomId, eventId, 'state_after'),
    stateBefore: (roomId, eventId) => stateAt(parts, roomId, eventId, 'state_before'),
    statesBefore: (roomId, eventIds) => statesBefore(parts, roomId, eventIds),
    timeline: (roomId, range) => timeline(parts, roomId, range),
    stateChanges: (roomId, range) => stateChanges(parts, roomId, range),
    memberChanges: (roomId, range) => memberChanges(parts, roomId, range),
    stateAtStream: async (roomId, stream) => {
      const found = await room(roomId)
      const version = found && (await versionAt(parts, found, stream))
      return found && version !== undefined ? await stateView(found, version) : undefined
    },
    lastMemberEvent: (roomId, userId, before) => lastMemberEvent(parts, roomId, userId, before),
    membershipsOf: async (userId, options = {}) => {
      const rows = await membershipRows(db, userId, { forgotten: options.forgotten ?? false })
      return rows.map(localMembership)
    },
    membership: async (userId, roomId) => {
      const row = await membershipRow(db, userId, roomId)
      return row && localMembership(row)
    },
    roomsChangedSince: async (from, rooms) => {
      const rows = await newestPositions(db, { rooms, after: from })
      rows.sort((a, b) => a.stream - b.stream)
      return new Map(rows.map(({ room_id, stream }) => [room_id as RoomId, stream]))
    },
    erasedAmong: async (userIds) =>
      userIds.length === 0 ? new Set() : await erasedAmong(db, userIds),
    localMembers: (roomId) => localUsersWith(db, roomId, 'join'),
    localUsersOf: (roomId) => localUsersOf(db, roomId),
    joinedRoomsOf: (userId) => joinedRoomsOf(parts, userId),
    roomsWithStateSince: (from) => roomsWithStateSince(db, from),
    joinedMemberCount: async (roomId) => {
      const found = await room(roomId)
      const byServer = found && (await joinedServers(found, found.published.state))
      return byServer ? byServer.values().reduce((sum, members) => sum + members, 0) : 0
    },
    joinedMembers: (roomId) => membersByCode(parts, roomId, joinCode),
    membersWith: (roomId, membership) => membersByCode(parts, roomId, codeOf(membership)),
    known: (range) => roomsAfter(db, range),
    graph: (roomId, options) => roomGraph(parts, roomId, options),
    roomsWithEvent: (eventId) => roomsOfEvent(db, eventId),
    explainWaiting: (eventId) => explainWaiting(db, eventId),
    explain: async (eventId, roomId) => {
      const named = roomId ?? (await roomOfEvent(db, eventId))
      const found = named && (await room(named))
      return found ? await explainEvent({ db, own: parts.signer }, found, eventId) : undefined
    },
  }
}

async function membersByCode(
  { queues }: ReadParts,
  roomId: RoomId,
  code: number,
): Promise<UserId[]> {
  const room = await queues.room(roomId)
  return room ? await membersWith(room, room.published.state, code) : []
}

async function lastMemberEvent(
  parts: ReadParts,
  roomId: RoomId,
  userId: UserId,
  before: number,
): Promise<StoredEvent | undefined> {
  const room = await parts.queues.room(roomId)
  const ids = (await room?.eventsAt({ type: 'm.room.member', stateKey: userId })) ?? []
  const isThere = ({ position, status }: StoredEvent) =>
    status === 'accepted' && position !== undefined && position.sub >= 0 && position.stream < before
  const stored = await storedEvents(parts, roomId, ids)
  const streamOf = ({ position }: StoredEvent) => position?.stream ?? 0
  return stored.filter(isThere).toSorted((a, b) => streamOf(b) - streamOf(a))[0]
}

async function storedEvents(
  { db, queues }: ReadParts,
  roomId: RoomId,
  eventIds: readonly EventId[],
): Promise<StoredEvent[]> {
  const room = await queues.room(roomId)
  if (room === undefined || eventIds.length === 0) return []
  const rows = await eventRows(db, room.roomNid, eventIds)
  const byId = new Map(rows.map((row) => [row.event_id, storedEvent(room, row)]))
  return eventIds.flatMap((eventId) => byId.get(eventId) ?? [])
}

function storedEvent(room: Room, row: PlacedEventRow): StoredEvent {
  const { stream, sub } = row
  return {
    pdu: room.events.cachedPdu(row.event_id) ?? room.events.pduOfRow(row),
    status: eventStatuses[row.status] ?? 'rejected',
    isPlaced: row.state_after !== null,
    position: stream === null || sub === null ? undefined : { stream, sub },
    gapBefore: row.gap_before === 1,
    redactedBy: row.redacted_by ?? undefined,
  }
}

async function stateAt(
  { db, queues }: ReadParts,
  roomId: RoomId,
  eventId: EventId,
  which: 'state_before' | 'state_after',
): Promise<StateView | undefined> {
  const room = await queues.room(roomId)
  const [row] = room ? await eventRows(db, room.roomNid, [eventId]) : []
  const version = row?.[which]
  if (room === undefined || version === null || version === undefined) return undefined
  return await stateView(room, version)
}

async function statesBefore(
  { db, queues }: ReadParts,
  roomId: RoomId,
  eventIds: readonly EventId[],
): Promise<Map<EventId, StateView>> {
  const states = new Map<EventId, StateView>()
  const room = await queues.room(roomId)
  if (room === undefined || eventIds.length === 0) return states
  const views = new Map<number, StateView>()
  for (const [eventId, version] of await statesBeforeEvents(db, room.roomNid, eventIds)) {
    const view = views.get(version) ?? (await stateView(room, version))
    views.set(version, view)
    states.set(eventId, view)
  }
  return states
}

async function timeline(
  { db, queues }: ReadParts,
  roomId: RoomId,
  range: Parameters<Rooms['timeline']>[1],
): Promise<StoredEvent[]> {
  const room = await queues.room(roomId)
  if (room === undefined) return []
  const { from, limit, direction } = range
  const rows =
    direction === 'backwards'
      ? await eventsBefore(db, room.roomNid, { from, limit, until: range.until ?? beginning })
      : await eventsAfter(db, room.roomNid, { from, limit, until: range.until ?? end })
  return rows.map((row) => storedEvent(room, row))
}

async function stateChanges(
  parts: ReadParts,
  roomId: RoomId,
  range: StreamRange,
): Promise<StateChange[]> {
  const found = await versionsAt(parts, roomId, range)
  return found === undefined ? [] : await stateDifference(found.room, found)
}

async function memberChanges(
  parts: ReadParts,
  roomId: RoomId,
  range: StreamRange,
): Promise<MemberChanges> {
  const found = await versionsAt(parts, roomId, range)
  return found === undefined ? noMemberChanges : await memberDifference(found.room, found)
}

async function joinedRoomsOf({ db, queues }: ReadParts, userId: UserId): Promise<RoomId[]> {
  const joined: RoomId[] = []
  for (const roomId of await sharedRoomsWithMember(db, userId)) {
    const room = await queues.room(roomId)
    if (room === undefined) continue
    const state = await stateView(room, room.published.state)
    if (state.isJoined(userId)) joined.push(roomId)
  }
  return joined
}

interface StreamRange {
  readonly from: number
  readonly to: number
}

/** The version that was current at a position of the stream: mostly that which still is. */
async function versionAt(
  { db }: ReadParts,
  { publishedSince, published, roomNid }: Room,
  stream: number,
): Promise<number | undefined> {
  if (publishedSince !== undefined && stream >= publishedSince) return published.state
  return await currentStateAt(db, roomNid, stream)
}

/** The versions of a room's state at two positions of the stream, if they differ. */
async function versionsAt(
  parts: ReadParts,
  roomId: RoomId,
  range: StreamRange,
): Promise<{ room: Room; from: number; to: number } | undefined> {
  const room = await parts.queues.room(roomId)
  if (room === undefined) return undefined
  const from = (await versionAt(parts, room, range.from)) ?? 0
  const to = (await versionAt(parts, room, range.to)) ?? 0
  return from === to ? undefined : { room, from, to }
}

function incompleteRoom(row: PartialRoomRow & { readonly room_id: RoomId }): IncompleteRoom {
  return {
    roomId: row.room_id,
    resident: row.resident,
    servers: (JSON.parse(row.servers) as ServerName[]).length,
    sinceTs: row.since_ts,
    tries: row.tries,
    problem: row.problem ?? undefined,
  }
}

function localMembership(row: MembershipRow): LocalMembership {
  return {
    roomId: row.room_id,
    userId: row.user_id as UserId,
    membership: row.membership as Membership,
    eventId: row.event_id,
    sender: row.sender,
    stream: row.stream,
    forgotten: row.forgotten === 1,
    strippedState: JSON.parse(row.stripped_state) as JsonObject[],
    serverInRoom: row.server_in_room === 1,
  }
}
