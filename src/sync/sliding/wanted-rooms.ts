/**
 * Which rooms the lists and subscriptions of a client are of, and what it wants of each.
 *
 * @module
 */

import type { RoomId, UserId } from '#protocol/identifiers/ids.ts'
import { isJsonObject } from '#protocol/json.ts'
import type { LocalMembership, Rooms } from '#rooms/rooms.ts'
import type { AccountData } from '#users/account-data.ts'
import { prunedStrippedState } from '../client-event.ts'
import { type HistoryRooms, tryRoomAccess } from '../room-access.ts'
import type { Snapshot } from '../snapshot.ts'
import type { OpenConnection } from './connection.ts'
import type { RoomFilters, SlidingSyncRequest } from './request.ts'
import { RoomConfig, type WantedOfRoom } from './room-config.ts'
import type { FactsOf } from './room-facts.ts'

export interface WantedRoomsNeeds {
  readonly rooms: Rooms & HistoryRooms
  readonly accountData: Pick<AccountData, 'get'>
  readonly factsOf: FactsOf
}

/** A room as lists look at it. */
interface ListedRoom {
  readonly membership: LocalMembership
  /** Larger for what has happened later. */
  readonly activity: number
  readonly bump: number
  readonly isEncrypted: boolean
  readonly type: string | undefined
  readonly isDm: boolean
}

/** A room that the client wants to hear of. */
export interface WantedRoom {
  readonly membership: LocalMembership
  readonly config: RoomConfig
  /** The names of the lists it is in. */
  readonly lists: readonly string[]
  readonly isSubscribed: boolean
  readonly bump: number
  readonly isDm: boolean
}

export interface Wanted {
  readonly rooms: readonly WantedRoom[]
  /** The rooms that lists or subscriptions are of, whatever their ranges. */
  readonly matched: ReadonlySet<RoomId>
  /** How many rooms each list has, whatever its ranges. */
  readonly counts: Readonly<Record<string, { readonly count: number }>>
}

export async function wantedRooms(
  needs: WantedRoomsNeeds,
  request: SlidingSyncRequest,
  { memberships }: Snapshot,
  { rooms: sent, since }: OpenConnection,
): Promise<Wanted> {
  const { userId, lists, subscriptions } = request
  const direct = directRooms(await needs.accountData.get(userId, undefined, 'm.direct'))
  const shown = await shownRooms(needs, memberships, (roomId) => {
    const room = sent.get(roomId)
    return room && (room.upTo ?? since)
  })
  const all = await Promise.all(shown.map((one) => listedRoom(needs, one, direct)))
  all.sort((a, b) => b.activity - a.activity)
  const rules = new Map<ListedRoom, { wanted: WantedOfRoom[]; lists: string[] }>()
  const ruleOf = (room: ListedRoom) =>
    rules.getOrInsertComputed(room, () => ({ wanted: [], lists: [] }))
  const counts: Record<string, { count: number }> = {}
  const matched = new Set<RoomId>()
  for (const [name, list] of Object.entries(lists)) {
    const matching = await filtered(needs, userId, all, list.filters ?? {})
    counts[name] = { count: matching.length }
    for (const { membership } of matching) matched.add(membership.roomId)
    for (const [first = 0, last = 0] of list.ranges ?? [[0, matching.length]]) {
      for (const room of matching.slice(first, last + 1)) {
        const rule = ruleOf(room)
        if (!rule.lists.includes(name)) rule.lists.push(name)
        rule.wanted.push(list)
      }
    }
  }
  for (const room of all) {
    const wanted = subscriptions[room.membership.roomId]
    if (wanted === undefined) continue
    ruleOf(room).wanted.push(wanted)
    matched.add(room.membership.roomId)
  }
  const rooms = [...rules].map(([{ membership, bump, isDm }, rule]) => ({
    membership,
    bump,
    isDm,
    config: RoomConfig.of(rule.wanted),
    lists: rule.lists,
    isSubscribed: subscriptions[membership.roomId] !== undefined,
  }))
  return { rooms, matched, counts }
}

/**
 * The rooms that a user may be shown. One that they left themselves is shown only to tell a client that
 * knows it; one that they were put out of always, but not one that they never were in.
 */
async function shownRooms(
  { rooms }: WantedRoomsNeeds,
  memberships: readonly LocalMembership[],
  knownUpTo: (roomId: RoomId) => number | undefined,
): Promise<LocalMembership[]> {
  const shown: LocalMembership[] = []
  for (const one of memberships) {
    const { roomId, userId, sender, stream } = one
    if (hasEnded(one)) {
      const known = knownUpTo(roomId)
      if (known !== undefined && known < stream) shown.push(one)
      else if (sender !== userId && (await tryRoomAccess(rooms, userId, roomId))?.left) {
        shown.push(one)
      }
    } else {
      shown.push(one)
    }
  }
  return shown
}

export function hasEnded({ membership }: LocalMembership): boolean {
  return membership === 'leave' || membership === 'ban'
}

async function listedRoom(
  { factsOf }: WantedRoomsNeeds,
  membership: LocalMembership,
  direct: ReadonlySet<string>,
): Promise<ListedRoom> {
  const isDm = direct.has(membership.roomId)
  const { stream } = membership
  if (membership.membership === 'join') {
    return { membership, isDm, ...(await factsOf(membership.roomId)) }
  }
  // For rooms that the user is not currently joined to, this instead represents when the relevant
  // membership happened.
  const stripped = prunedStrippedState(membership.strippedState)
  const type = stripped.find((event) => event.type === 'm.room.create')?.content
  const roomType = isJsonObject(type) ? type.type : undefined
  return {
    membership,
    isDm,
    activity: stream,
    bump: stream,
    isEncrypted: stripped.some((event) => event.type === 'm.room.encryption'),
    type: typeof roomType === 'string' ? roomType : undefined,
  }
}

/** The rooms of a user's `m.direct`: those that are present in any of its lists. */
function directRooms(content: unknown): Set<string> {
  const lists = isJsonObject(content as never) ? Object.values(content as object) : []
  return new Set(
    lists
      .filter(Array.isArray)
      .flat()
      .filter((id) => typeof id === 'string'),
  )
}

async function filtered(
  needs: WantedRoomsNeeds,
  userId: UserId,
  rooms: readonly ListedRoom[],
  filters: RoomFilters,
): Promise<readonly ListedRoom[]> {
  const { is_dm: isDm, is_encrypted: isEncrypted, room_types: types, tags } = filters
  const { not_room_types: notTypes = [], not_tags: notTags = [] } = filters
  const isInvited = filters.is_invited ?? filters.is_invite
  const inSpaces = filters.spaces && (await roomsInSpaces(needs, userId, filters.spaces))
  const tagsOf =
    tags !== undefined || notTags.length > 0 ? await tagReader(needs, userId, rooms) : undefined
  return rooms.filter((room) => {
    const {
      membership: { roomId, membership },
      type = null,
    } = room
    const own = tagsOf?.get(roomId) ?? []
    return (
      (isDm === undefined || room.isDm === isDm) &&
      (isEncrypted === undefined || room.isEncrypted === isEncrypted) &&
      (isInvited === undefined || (membership === 'invite') === isInvited) &&
      (types === undefined || types.includes(type)) &&
      !notTypes.includes(type) &&
      (tags === undefined || tags.some((tag) => own.includes(tag))) &&
      !notTags.some((tag) => own.includes(tag)) &&
      (inSpaces === undefined || inSpaces.has(roomId))
    )
  })
}

async function tagReader(
  { accountData }: WantedRoomsNeeds,
  userId: UserId,
  rooms: readonly ListedRoom[],
): Promise<ReadonlyMap<RoomId, readonly string[]>> {
  const tags = await Promise.all(
    rooms.map(async ({ membership: { roomId } }) => {
      const content = await accountData.get(userId, roomId, 'm.tag')
      const own = isJsonObject(content?.tags ?? null) ? Object.keys(content?.tags as object) : []
      return [roomId, own] as const
    }),
  )
  return new Map(tags)
}

/** Rooms that are children of one of these spaces, of those that the user is in. */
async function roomsInSpaces(
  { rooms }: WantedRoomsNeeds,
  userId: UserId,
  spaces: readonly string[],
): Promise<ReadonlySet<string>> {
  const children = new Set<string>()
  for (const space of spaces) {
    const roomId = space as RoomId
    const membership = await rooms.membership(userId, roomId)
    if (membership?.membership !== 'join') continue
    const state = await rooms.currentState(roomId)
    for (const { state_key: child = '', content } of (await state?.events(
      (type) => type === 'm.space.child',
    )) ?? []) {
      // A child without servers to ask is none.
      if (Array.isArray(content.via)) children.add(child)
    }
  }
  return children
}
