/**
 * What an answer to `/sync` says of rooms: those that the user is in, was in, is invited to or knocks at.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#syncing
 *
 * @module
 */

import type { RoomId } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'
import type { LocalMembership } from '#rooms/rooms.ts'
import type { AccountData } from '#users/account-data.ts'
import type { Receipts } from '#users/receipts.ts'
import type { Typing } from '#users/typing.ts'
import {
  joinedSection,
  type LeftPart,
  leftSection,
  type SectionNeeds,
  type SyncPart,
  strippedSection,
} from './room-sections.ts'
import { freshlyJoined, inTurns, type Section } from './snapshot.ts'
import type { StickyNews } from './sticky-events.ts'
import { accountDataOf, type SyncRequest } from './sync-request.ts'

export type RoomsNeeds = SectionNeeds & {
  readonly accountData: AccountData
  readonly receipts: Receipts
  readonly typing: Typing
}

interface RoomsRequest {
  readonly request: SyncRequest
  readonly part: SyncPart
  readonly accountData: ReadonlyMap<RoomId | undefined, readonly JsonObject[]>
  readonly sticky: StickyNews['byRoom']
  readonly memberships: readonly LocalMembership[]
}

/** The sections `join`, `invite`, `knock` and `leave`, without those that say nothing. */
export async function roomsOf(needs: RoomsNeeds, all: RoomsRequest): Promise<JsonObject> {
  const { request } = all
  const memberships = all.memberships.filter(({ roomId }) =>
    request.filter.room.matchesRoom(roomId),
  )
  const [join, leave, invite, knock] = await Promise.all([
    joinedRooms(needs, { ...all, memberships: memberships.filter(isJoin) }),
    leftRooms(needs, { ...all, memberships: memberships.filter(isLeft) }),
    strippedRooms(needs, { request, memberships, membership: 'invite' }),
    strippedRooms(needs, { request, memberships, membership: 'knock' }),
  ])
  return {
    ...(join.length > 0 && { join: Object.fromEntries(join) }),
    ...(invite.length > 0 && { invite: Object.fromEntries(invite) }),
    ...(knock.length > 0 && { knock: Object.fromEntries(knock) }),
    ...(leave.length > 0 && { leave: Object.fromEntries(leave) }),
  }
}

async function joinedRooms(
  needs: RoomsNeeds,
  { request, part, accountData, sticky, memberships }: RoomsRequest,
): Promise<Section[]> {
  const { since, fullState } = request
  const { rooms } = needs
  const roomIds = memberships.map(({ roomId }) => roomId)
  const [changed, fresh] = await Promise.all([
    since === undefined ? undefined : rooms.roomsChangedSince(since, roomIds),
    since === undefined ? new Set(roomIds) : freshlyJoined(needs, memberships, since),
  ])
  const ephemeral = await ephemeralOf(needs, { request, roomIds, fresh, to: part.to })
  // What was kept of a room while the user was not in it was not told then.
  const isBack = since !== undefined && fresh.size > 0
  const kept = isBack
    ? await accountDataOf(needs, { ...request, since: undefined }, part.to)
    : accountData
  const read = await readRooms(needs, request, part.to)
  const concerned = memberships.filter(
    ({ roomId }) =>
      changed === undefined ||
      fullState ||
      changed.has(roomId) ||
      fresh.has(roomId) ||
      ephemeral.has(roomId) ||
      accountData.has(roomId) ||
      sticky.has(roomId) ||
      read.has(roomId),
  )
  return await inTurns(concerned, async (membership) => {
    const { roomId } = membership
    const isFresh = fresh.has(roomId)
    return await joinedSection(needs, {
      ...part,
      membership,
      since: isFresh ? undefined : since,
      // The client may know events of an earlier stay: it must not take these for their continuation.
      isCut: isFresh && since !== undefined,
      stateSince: isFresh || fullState ? undefined : since,
      ephemeral: ephemeral.get(roomId) ?? [],
      accountData: (isFresh ? kept : accountData).get(roomId) ?? [],
      sticky: sticky.get(roomId) ?? [],
      isRead: read.has(roomId),
    })
  })
}

/** The rooms in which what is unread has changed without an event. */
async function readRooms(
  { unread }: RoomsNeeds,
  { userId, since }: SyncRequest,
  to: number,
): Promise<Set<RoomId>> {
  if (since === undefined) return new Set()
  return new Set(await unread.roomsReadSince(userId, { from: since, to }))
}

async function leftRooms(
  needs: RoomsNeeds,
  { request: { since, fullState, filter }, part, accountData, memberships }: RoomsRequest,
): Promise<Section[]> {
  const concerned = memberships.filter(({ stream }) =>
    since === undefined ? filter.room.includeLeave : stream > since,
  )
  return await inTurns(concerned, async (membership) => {
    const { roomId, userId } = membership
    const state = since === undefined ? undefined : await needs.rooms.stateAtStream(roomId, since)
    const member = await state?.event('m.room.member', userId)
    const known = member?.content.membership === 'join' ? since : undefined
    const part_: LeftPart = {
      ...part,
      membership,
      since: known,
      // The client may know events of an earlier stay.
      isCut: since !== undefined && known === undefined,
      stateSince: fullState ? undefined : known,
      toldUpTo: fullState ? undefined : since,
      ephemeral: [],
      accountData: accountData.get(roomId) ?? [],
      sticky: [],
      isRead: false,
    }
    return await leftSection(needs, part_)
  })
}

async function strippedRooms(
  needs: RoomsNeeds,
  wanted: {
    readonly request: SyncRequest
    readonly memberships: readonly LocalMembership[]
    readonly membership: 'invite' | 'knock'
  },
): Promise<Section[]> {
  const { since } = wanted.request
  const concerned = wanted.memberships.filter(
    ({ membership, stream }) =>
      membership === wanted.membership && (since === undefined || stream > since),
  )
  return await inTurns(concerned, async (membership) => ({
    [`${wanted.membership}_state`]: { events: await strippedSection(needs, membership) },
  }))
}

/** Typing and receipts as events, by room. */
async function ephemeralOf(
  { typing, receipts }: RoomsNeeds,
  wanted: {
    readonly request: SyncRequest
    readonly roomIds: readonly RoomId[]
    readonly fresh: ReadonlySet<RoomId>
    readonly to: number
  },
): Promise<Map<RoomId, JsonObject[]>> {
  const { request, roomIds, fresh, to } = wanted
  const { userId, since = 0 } = request
  const filter = request.filter.room.ephemeral
  const events = new Map<RoomId, JsonObject[]>()
  const add = (roomId: RoomId, event: JsonObject & { type: string }) => {
    if (!filter.matchesRoom(roomId) || !filter.matches(event)) return
    events.set(roomId, [...(events.get(roomId) ?? []), event])
  }
  for (const roomId of roomIds) {
    const from = fresh.has(roomId) ? 0 : since
    const user_ids = typing.changed(roomId, { from, to })
    // Whoever knows a room from an earlier stay may hold that somebody types who does so no more.
    if (user_ids === undefined || (since === 0 && user_ids.length === 0)) continue
    add(roomId, { type: 'm.typing', content: { user_ids } })
  }
  if (!filter.matchesType('m.receipt')) return events
  const known = roomIds.filter((roomId) => !fresh.has(roomId))
  const found = await Promise.all([
    fresh.size > 0 ? receipts.changed(userId, [...fresh], { from: 0, to }) : [],
    known.length > 0 ? receipts.changed(userId, known, { from: since, to }) : [],
  ])
  for (const [roomId, contents] of found.flatMap((byRoom) => [...byRoom])) {
    for (const content of contents) add(roomId, { type: 'm.receipt', content })
  }
  return events
}

export function isJoin({ membership }: LocalMembership): boolean {
  return membership === 'join'
}

function isLeft({ membership }: LocalMembership): boolean {
  return membership === 'leave' || membership === 'ban'
}
