/**
 * Who may know of a room without being in it: whoever is in it, whoever could join or knock as the
 * room is now, and everybody if it is world-readable.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1roomsroomidhierarchy
 *
 * @module
 */

import { serverNameOf } from '#protocol/identifiers/common-format.ts'
import type { RoomId, ServerName, UserId } from '#protocol/identifiers/ids.ts'
import { parseUserId } from '#protocol/identifiers/user-id.ts'
import { roomVersions } from '#protocol/room-version.ts'
import { isDenied } from '#rooms/resident/access.ts'
import type { Rooms, StateView } from '#rooms/rooms.ts'
import type { RoomSummary } from './room-summary.ts'

/**
 * Whether a user of ours may know of a room, by what is said of it here or by another server.
 * Nobody in particular is `undefined`.
 */
export async function mayUserPreview(
  { rooms }: { readonly rooms: Pick<Rooms, 'membership'> },
  summary: RoomSummary,
  userId: UserId | undefined,
): Promise<boolean> {
  const membershipIn = async (roomId: RoomId) =>
    userId && (await rooms.membership(userId, roomId))?.membership
  const membership = await membershipIn(summary.room_id)
  if (membership === 'join' || membership === 'invite') return true
  if (summary.world_readable) return true
  if (membership === 'ban') return false
  return await opens(summary, async (roomId) => (await membershipIn(roomId)) === 'join')
}

/** Whether another server, or one of its users, may know of a room that we are in. */
export async function mayServerPreview(
  needs: {
    readonly rooms: Pick<Rooms, 'isServerInRoom'>
    readonly serverName: ServerName
  },
  summary: RoomSummary,
  { state, origin }: { readonly state: StateView; readonly origin: ServerName },
): Promise<boolean> {
  const { rooms, serverName } = needs
  // A server that is shut out of a room can neither join nor peek.
  if (await isDenied(state, origin)) return false
  if (summary.world_readable || (await rooms.isServerInRoom(origin, summary.room_id))) return true
  const isIn = async (roomId: RoomId) =>
    (await rooms.isServerInRoom(serverName, roomId)) && (await rooms.isServerInRoom(origin, roomId))
  return (await opens(summary, isIn)) || (await isInvited(state, origin))
}

/** Whether the join rule lets in somebody who is, or is not, in certain rooms. */
async function opens(
  { join_rule: rule, room_version: id, allowed_room_ids: allowed = [] }: RoomSummary,
  isIn: (roomId: RoomId) => Promise<boolean>,
): Promise<boolean> {
  // Servers from before 1.15 of the spec do not tell the version; they would not show a rule that it
  // does not have.
  const version = id === undefined ? undefined : roomVersions.get(id)
  // The room is assumed to be public when no rule is present.
  if (rule === undefined || rule === 'public') return true
  if (rule === 'knock') return version?.knocking ?? true
  if (rule === 'knock_restricted') return version?.knockRestrictedJoins ?? true
  if (rule !== 'restricted' || version?.restrictedJoins === false) return false
  for (const roomId of allowed) if (await isIn(roomId)) return true
  return false
}

/** Invites of users of one server that are looked at. */
const membersMax = 100

async function isInvited(state: StateView, server: ServerName): Promise<boolean> {
  const keys = state.ids().filter(({ type, stateKey }) => {
    if (type !== 'm.room.member' || !stateKey.endsWith(`:${server}`)) return false
    const userId = parseUserId(stateKey)
    return userId !== undefined && serverNameOf(userId) === server
  })
  for (const { stateKey } of keys.slice(0, membersMax)) {
    const member = await state.event('m.room.member', stateKey)
    if (member?.content.membership === 'invite') return true
  }
  return false
}
