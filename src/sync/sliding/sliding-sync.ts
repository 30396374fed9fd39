/**
 * Simplified sliding sync: a client says which part of its rooms it wants to hear of, and is told what
 * is news to it.
 *
 * It reads the same stream as `/sync`. What each client knows of rooms is kept by `connection.ts`.
 *
 * https://github.com/matrix-org/matrix-spec-proposals/pull/4186
 *
 * @module
 */

import type { Clock } from '#io/clock.ts'
import type { RoomId } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'
import type { ToDeviceMessage } from '#storage/to-device.ts'
import type { Notifier } from '../notifier.ts'
import type { SectionNeeds } from '../room-sections.ts'
import { inTurns, type Snapshot, type SnapshotNeeds, settledSnapshot } from '../snapshot.ts'
import {
  type Connections,
  createConnections,
  type OpenConnection,
  type SentRoom,
} from './connection.ts'
import { type ExtensionNeeds, type Extensions, extensionsOf } from './extensions.ts'
import type { SlidingSyncRequest } from './request.ts'
import { RoomConfig } from './room-config.ts'
import { createRoomFacts } from './room-facts.ts'
import { roomResult } from './room-result.ts'
import {
  hasEnded,
  type Wanted,
  type WantedRoom,
  type WantedRoomsNeeds,
  wantedRooms,
} from './wanted-rooms.ts'

/** How long a client may wait for news. Longer is cut short, so that dead connections end. */
const timeoutMsMax = 300_000

export interface SlidingSyncAnswer {
  readonly body: {
    readonly pos: string
    readonly lists: Wanted['counts']
    readonly rooms: JsonObject & Readonly<Record<string, JsonObject>>
    readonly extensions: Extensions['sections']
  }
  /** What belongs into `extensions.to_device`, if that is there. */
  readonly messages: readonly ToDeviceMessage[]
}

export type SlidingSync = (request: SlidingSyncRequest) => Promise<SlidingSyncAnswer>

export type SlidingSyncNeeds = SectionNeeds &
  SnapshotNeeds &
  ExtensionNeeds &
  Omit<WantedRoomsNeeds, 'factsOf'> & {
    readonly clock: Clock
    readonly notifier: Notifier
  }

type Needs = SlidingSyncNeeds & WantedRoomsNeeds & { readonly connections: Connections }

export function createSlidingSync(needs: SlidingSyncNeeds): SlidingSync {
  const connections = createConnections(needs)
  const all: Needs = { ...needs, connections, factsOf: createRoomFacts(needs.rooms) }
  return (request) => answer(all, request)
}

/** Answers at once if there is news, or the client knows nothing yet; else waits for news. */
async function answer(needs: Needs, request: SlidingSyncRequest): Promise<SlidingSyncAnswer> {
  const { userId, connId, pos, signal } = request
  const { clock, notifier } = needs
  const open = await needs.connections.open(request, connId, pos)
  const endMs = clock.monotonicMs() + Math.min(request.timeoutMs, timeoutMsMax)
  for (;;) {
    const snapshot = await settledSnapshot(needs, userId)
    const { to, memberships } = snapshot
    const news = await newsFor(needs, request, snapshot, open)
    const timeoutMs = endMs - clock.monotonicMs()
    if (news.isNews || open.since === undefined || timeoutMs <= 0) {
      const newPos = await open.advance(news.changes, to)
      const rooms = Object.fromEntries(news.rooms)
      const { lists, extensions, messages } = news
      return { body: { pos: newPos, lists, rooms, extensions }, messages }
    }
    const rooms = memberships
      .filter(({ membership }) => membership === 'join')
      .map(({ roomId }) => roomId)
    await notifier.wait({ userId, rooms, after: to, timeoutMs, signal })
  }
}

interface News {
  readonly rooms: ReadonlyMap<RoomId, JsonObject>
  readonly lists: Wanted['counts']
  readonly extensions: Extensions['sections']
  readonly messages: readonly ToDeviceMessage[]
  readonly isNews: boolean
  /** What the client will know of rooms, where that is something else. */
  readonly changes: ReadonlyMap<RoomId, SentRoom>
}

async function newsFor(
  needs: Needs,
  request: SlidingSyncRequest,
  snapshot: Snapshot,
  open: OpenConnection,
): Promise<News> {
  const { to } = snapshot
  // A position from the future was given by nobody: the database has been put back to an earlier day.
  const since = open.since === undefined ? undefined : Math.min(open.since, to)
  const { rooms: wanted, matched, counts } = await wantedRooms(needs, request, snapshot, open)
  const knownUpTo = new Map<RoomId, number>()
  for (const [roomId, { upTo }] of open.rooms) {
    const known = upTo ?? since
    if (known !== undefined) knownUpTo.set(roomId, known)
  }
  const rooms = await roomNews(needs, request, {
    wanted,
    knownUpTo,
    open,
    since,
    to,
    ignored: snapshot.ignored,
  })
  const toldUpTo = new Map(knownUpTo)
  // A client that was told of a room before it was in it, as by an invite, knows nothing of what is in it.
  for (const [roomId, room] of rooms) if (room.initial === true) knownUpTo.delete(roomId)
  const part = { ...snapshot, request, since, wanted, matched, knownUpTo, toldUpTo, rooms }
  const { sections, messages, isNews } = await extensionsOf(needs, part)
  return {
    rooms,
    lists: counts,
    extensions: sections,
    messages,
    isNews: isNews || rooms.size > 0,
    changes: changesOf({ wanted, open, since }),
  }
}

async function roomNews(
  needs: Needs,
  { userId, deviceId }: SlidingSyncRequest,
  part: {
    readonly wanted: readonly WantedRoom[]
    readonly knownUpTo: ReadonlyMap<RoomId, number>
    readonly open: OpenConnection
    readonly since: number | undefined
    readonly to: number
    readonly ignored: ReadonlySet<string>
  },
): Promise<ReadonlyMap<RoomId, JsonObject>> {
  const { wanted, knownUpTo, open, since, to, ignored } = part
  const byRoom = new Map(wanted.map((room) => [room.membership.roomId, room]))
  // Nothing more is told of a room that the user is in no more.
  const known = wanted
    .filter(({ membership }) => !hasEnded(membership))
    .map(({ membership }) => membership.roomId)
    .filter((roomId) => knownUpTo.has(roomId))
  const oldest = known.reduce((least, roomId) => Math.min(least, knownUpTo.get(roomId) ?? 0), to)
  const newest = await needs.rooms.roomsChangedSince(oldest, known)
  const read = new Set(
    since === undefined ? [] : await needs.unread.roomsReadSince(userId, { from: since, to }),
  )
  const concerned = wanted.filter((room) => {
    const { roomId, stream } = room.membership
    const upTo = knownUpTo.get(roomId)
    const sent = open.rooms.get(roomId)
    return (
      upTo === undefined ||
      stream > upTo ||
      (newest.get(roomId) ?? -1) > upTo ||
      read.has(roomId) ||
      sent?.isDm !== room.isDm ||
      sent.config !== room.config.text
    )
  })
  const sections = await inTurns(
    concerned.map(({ membership }) => membership),
    async ({ roomId }) => {
      const room = byRoom.get(roomId)
      const sent = open.rooms.get(roomId)
      return (
        room &&
        (await roomResult(needs, {
          wanted: room,
          deviceId,
          since: knownUpTo.get(roomId),
          liveSince: since,
          to,
          before: sent && RoomConfig.parse(sent.config),
          isRead: read.has(roomId),
          ignored,
          isOtherDm: sent !== undefined && sent.isDm !== room.isDm,
        }))
      )
    },
  )
  return new Map(sections)
}

/**
 * What the client will know otherwise than by the stream going on: rooms that it wants now are known as
 * far as all else, those that its user is in no more up to there, and of others it knows no more than before.
 */
function changesOf(part: {
  readonly wanted: readonly WantedRoom[]
  readonly open: OpenConnection
  readonly since: number | undefined
}): ReadonlyMap<RoomId, SentRoom> {
  const { wanted, open, since } = part
  const changes = new Map<RoomId, SentRoom>()
  const isWanted = new Set<RoomId>()
  for (const { membership, config, isDm } of wanted) {
    const { roomId } = membership
    isWanted.add(roomId)
    const sent = open.rooms.get(roomId)
    const known = { upTo: hasEnded(membership) ? membership.stream : undefined, isDm }
    const { text } = config
    const isSame = sent && sent.upTo === known.upTo && sent.config === text && sent.isDm === isDm
    if (!isSame) changes.set(roomId, { ...known, config: text })
  }
  for (const [roomId, sent] of open.rooms) {
    if (sent.upTo === undefined && !isWanted.has(roomId)) {
      changes.set(roomId, { ...sent, upTo: since })
    }
  }
  return changes
}
