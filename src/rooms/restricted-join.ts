/**
 * Who may join a restricted room, by what this server knows, and who may say so for it.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#restricted-rooms
 *
 * @module
 */

import { authStateOf } from '#protocol/auth-rules/auth-state.ts'
import { powerLevelOf, requiredLevel } from '#protocol/auth-rules/room-levels.ts'
import { joinRuleOf, membershipOf } from '#protocol/auth-rules/room-members.ts'
import type { RoomId, UserId } from '#protocol/identifiers/ids.ts'
import { parseRoomId } from '#protocol/identifiers/room-id.ts'
import { isJsonObject, type Json } from '#protocol/json.ts'
import type { RoomVersion } from '#protocol/room-version.ts'
import type { RoomParts } from './parts.ts'
import type { StateView } from './rooms.ts'

/** How many rooms of the conditions are looked at. */
const conditionsMax = 100

/**
 * Whether a join needs somebody in the room to authorise it, and who can:
 * - `not-needed`: the room is not restricted, or the user is invited or in it already;
 * - `granted`: the user fulfils a condition, and `authoriser` may say so;
 * - `unable-to-grant`: the user fulfils a condition, but no user of ours may invite;
 * - `unable-to-authorise`: none is fulfilled as far as we know, and we do not know all of the rooms;
 * - `refused`: the user fulfils none.
 */
export type JoinPermit =
  | { readonly permit: 'not-needed' | 'unable-to-grant' | 'unable-to-authorise' | 'refused' }
  | { readonly permit: 'granted'; readonly authoriser: UserId }

/** Decides on a join of `userId` by the state of the room. */
export async function joinPermit(
  parts: Pick<RoomParts, 'rooms'>,
  room: { readonly roomId: RoomId; readonly version: RoomVersion; readonly state: StateView },
  userId: UserId,
): Promise<JoinPermit> {
  const { version, state } = room
  const rules = await state.event('m.room.join_rules', '')
  const member = await state.event('m.room.member', userId)
  const known = authStateOf([rules, member].filter((event) => event !== undefined))
  if (!isRestricted(version, joinRuleOf(known))) return { permit: 'not-needed' }
  const membership = membershipOf(known, userId)
  if (membership === 'join' || membership === 'invite') return { permit: 'not-needed' }
  // The auth rules refuse a banned user whoever authorises the join.
  if (membership === 'ban') return { permit: 'refused' }

  const fulfilled = await fulfilsCondition(parts, rules?.content.allow, userId)
  if (fulfilled !== 'yes') {
    return { permit: fulfilled === 'unknown' ? 'unable-to-authorise' : 'refused' }
  }
  const authoriser = await localAuthoriser(parts, room)
  return authoriser === undefined
    ? { permit: 'unable-to-grant' }
    : { permit: 'granted', authoriser }
}

/**
 * Whether the user is in one of the rooms of the conditions. If no conditions are available, or none
 * match the required schema, then all conditions are failed.
 */
async function fulfilsCondition(
  { rooms }: Pick<RoomParts, 'rooms'>,
  allow: Json | undefined,
  userId: UserId,
): Promise<'yes' | 'no' | 'unknown'> {
  let outcome: 'no' | 'unknown' = 'no'
  for (const roomId of allowedRooms(allow)) {
    const state = await rooms.currentState(roomId)
    const isOurs = state !== undefined && (await rooms.localMembers(roomId)).length > 0
    if (!isOurs) {
      outcome = 'unknown'
      continue
    }
    const member = await state.event('m.room.member', userId)
    if (member?.content.membership === 'join') return 'yes'
    if ((await rooms.partialState(roomId)) !== undefined) outcome = 'unknown'
  }
  return outcome
}

/** The rooms of which a membership lets somebody in, as far as the conditions are in order. */
export function allowedRooms(allow: Json | undefined): RoomId[] {
  if (!Array.isArray(allow)) return []
  const roomIds = new Set<RoomId>()
  for (const condition of (allow as readonly Json[]).slice(0, conditionsMax)) {
    if (!isJsonObject(condition) || condition.type !== 'm.room_membership') continue
    const { room_id } = condition
    const roomId = typeof room_id === 'string' ? parseRoomId(room_id) : undefined
    if (roomId !== undefined) roomIds.add(roomId)
  }
  return [...roomIds]
}

/** One of our users in the room who may invite: the one with the most power. */
async function localAuthoriser(
  { rooms }: Pick<RoomParts, 'rooms'>,
  { roomId, state }: { readonly roomId: RoomId; readonly state: StateView },
): Promise<UserId | undefined> {
  const levels = await state.events(
    (type, stateKey) =>
      stateKey === '' && (type === 'm.room.create' || type === 'm.room.power_levels'),
  )
  const known = authStateOf(levels)
  const needed = requiredLevel(known, 'invite')
  let best: UserId | undefined
  for (const userId of await rooms.localMembers(roomId)) {
    if (!(powerLevelOf(known, userId) >= needed)) continue
    if (best === undefined || powerLevelOf(known, userId) > powerLevelOf(known, best)) best = userId
  }
  return best
}

function isRestricted(version: RoomVersion, joinRule: string | undefined): boolean {
  if (joinRule === 'restricted') return version.restrictedJoins
  return joinRule === 'knock_restricted' && version.knockRestrictedJoins
}
