/**
 * How many are in a room, and by whom it is known if it has no name.
 *
 * The memberships of a room are read once and kept while the room is in use; a commit only marks
 * those that changed.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3sync
 *
 * @module
 */

import type { RoomId, UserId } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'
import type { Pdu } from '#protocol/pdu.ts'
import type { Rooms, StateView } from '#rooms/rooms.ts'

/** This should be the first 5 members of the room. */
const heroesMax = 5

/** Of more members than these that changed, all are read anew. */
const changedMax = 100

/** Rooms whose memberships are kept. */
const roomsMax = 2_000

export interface RoomSummaries {
  /** The summary as `userId` is shown it. */
  summary(userId: UserId, roomId: RoomId): Promise<RoomSummary>
}

export interface RoomSummary {
  /** Absent if the room has a name. */
  readonly heroes: readonly UserId[] | undefined
  readonly joined: number
  readonly invited: number
}

export function summaryJson({ heroes, joined, invited }: RoomSummary): JsonObject {
  return {
    ...(heroes !== undefined && { 'm.heroes': heroes }),
    'm.joined_member_count': joined,
    'm.invited_member_count': invited,
  }
}

interface Member {
  readonly membership: string
  readonly since: number
}

interface KnownRoom {
  readonly members: Map<UserId, Member>
  readonly changed: Set<UserId>
}

export function createRoomSummaries(
  rooms: Pick<Rooms, 'currentState' | 'onCommit'>,
): RoomSummaries {
  /** In the order of their last use. */
  const known = new Map<RoomId, KnownRoom>()
  rooms.onCommit(({ roomId, stateChanges }) => {
    const room = known.get(roomId)
    for (const { type, stateKey } of room ? stateChanges : []) {
      if (type === 'm.room.member') room?.changed.add(stateKey as UserId)
    }
  })
  const membersOf = async (roomId: RoomId, state: StateView) => {
    const before = known.get(roomId)
    const isOutdated = before !== undefined && before.changed.size > changedMax
    const room = (isOutdated ? undefined : before) ?? {
      members: await readMembers(state),
      changed: new Set(),
    }
    known.delete(roomId)
    known.set(roomId, room)
    const [oldest] = known.keys()
    if (known.size > roomsMax && oldest !== undefined) known.delete(oldest)
    for (const userId of [...room.changed]) {
      room.changed.delete(userId)
      note(room.members, await state.event('m.room.member', userId))
    }
    return room.members
  }
  return {
    summary: async (userId, roomId) => {
      const state = await rooms.currentState(roomId)
      if (state === undefined) return { heroes: [], joined: 0, invited: 0 }
      const members = await membersOf(roomId, state)
      const count = (membership: string) =>
        members.values().reduce((sum, one) => sum + (one.membership === membership ? 1 : 0), 0)
      return {
        // Required if the room's m.room.name or m.room.canonical_alias state events are unset or
        // empty.
        heroes: (await hasName(state)) ? undefined : heroesOf(members, userId),
        joined: count('join'),
        invited: count('invite'),
      }
    },
  }
}

async function readMembers(state: StateView): Promise<Map<UserId, Member>> {
  const members = new Map<UserId, Member>()
  for (const pdu of await state.events((type) => type === 'm.room.member')) note(members, pdu)
  return members
}

function note(members: Map<UserId, Member>, pdu: Pdu | undefined): void {
  const membership = pdu?.content.membership
  if (pdu?.state_key === undefined || typeof membership !== 'string') return
  const userId = pdu.state_key as UserId
  const before = members.get(userId)
  // A change of the name is no arrival.
  const since = before?.membership === membership ? before.since : pdu.origin_server_ts
  members.set(userId, { membership, since })
}

async function hasName(state: StateView): Promise<boolean> {
  const [name, alias] = await Promise.all([
    state.event('m.room.name', ''),
    state.event('m.room.canonical_alias', ''),
  ])
  return [name?.content.name, alias?.content.alias].some(
    (text) => typeof text === 'string' && text !== '',
  )
}

/**
 * The first members of the room which are joined or invited, never including the client's own user
 * ID. When no joined or invited members are available, this should consist of the banned and left
 * users.
 */
function heroesOf(members: ReadonlyMap<UserId, Member>, self: UserId): UserId[] {
  const present = firstOf(members, self, ['join', 'invite'])
  return present.length > 0 ? present : firstOf(members, self, ['leave', 'ban'])
}

function firstOf(
  members: ReadonlyMap<UserId, Member>,
  self: UserId,
  memberships: readonly string[],
): UserId[] {
  const first: [UserId, number][] = []
  for (const [userId, { membership, since }] of members) {
    if (userId === self || !memberships.includes(membership)) continue
    const last = first.at(-1)
    if (first.length === heroesMax && last !== undefined && since >= last[1]) continue
    first.push([userId, since])
    first.sort((a, b) => a[1] - b[1])
    if (first.length > heroesMax) first.pop()
  }
  return first.map(([userId]) => userId)
}
