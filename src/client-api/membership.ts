/**
 * Changes who is in a room: leaving, inviting, kicking, banning, letting in again.
 *
 * What may not be done is refused by the auth rules; here is only what they do not say, since to them
 * kicking and unbanning are the same event.
 *
 * @module
 */

import { ban, unban } from '#endpoints/client-server/banning.ts'
import { inviteUser } from '#endpoints/client-server/inviting.ts'
import { kick } from '#endpoints/client-server/kicking.ts'
import { forgetRoom, leaveRoom } from '#endpoints/client-server/leaving.ts'
import { getJoinedRooms } from '#endpoints/client-server/list-joined-rooms.ts'
import { answer, type RequestOf } from '#http/endpoint.ts'
import { serverNameOf } from '#protocol/identifiers/common-format.ts'
import type { RoomId, UserId } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Server } from '#server.ts'
import { requireJoined } from '#sync/room-access.ts'
import { profileContent, reasonContent } from './room-content.ts'
import {
  type AddressedInvite,
  inviteAddress,
  type ThirdPartyNeeds,
} from './third-party-membership.ts'

type Needs = Pick<Server, 'rooms'>

export const leaveRoomRoute = answer(
  leaveRoom,
  async ({ params: { roomId }, body, session: { userId } }, { rooms }: Needs) => {
    const membership = await rooms.membership(userId, roomId)
    if (membership === undefined) {
      throw new MatrixError(404, 'M_NOT_FOUND', 'You have nothing to do with this room.')
    }
    // Who has left already need not leave.
    if (membership.membership === 'leave') return {}
    await rooms.leave({ userId, roomId, content: reasonContent(body) })
    return {}
  },
)

export const forgetRoomRoute = answer(
  forgetRoom,
  async ({ params: { roomId }, session: { userId } }, { rooms }: Needs) => {
    await rooms.forget(userId, roomId)
    return {}
  },
)

export const inviteUserRoute = answer(
  inviteUser,
  async ({ params: { roomId }, body, session }, needs: ThirdPartyNeeds) => {
    const sender = session.userId
    await requireJoined(needs.rooms, sender, roomId)
    const target = body.user_id ?? (await inviteAddress(needs, { roomId, sender }, addressed(body)))
    if (target === undefined) return {}
    const isLocal = serverNameOf(target) === needs.serverName
    if (isLocal) await needs.users.wishes.assertInvitable(target, sender)
    const profile = isLocal ? await profileContent(needs, target) : {}
    const content = { ...profile, ...reasonContent(body) }
    await needs.rooms.invite({ sender, target, roomId, content })
    return {}
  },
)

/** An invite of an address, which needs all of its fields. */
function addressed({
  id_server,
  id_access_token,
  medium,
  address,
}: RequestOf<typeof inviteUser>['body']): AddressedInvite {
  const isWhole = id_server && id_access_token !== undefined && medium && address
  if (isWhole) return { id_server, id_access_token, medium, address }
  const message = "'user_id' is required, or all of an identity server, a token and an address."
  throw new MatrixError(400, 'M_MISSING_PARAM', message)
}

export const kickRoute = answer(
  kick,
  async ({ params: { roomId }, body, session }, needs: Needs) => {
    await requireJoined(needs.rooms, session.userId, roomId)
    const before = await membershipOf(needs, roomId, body.user_id)
    // The kickee is not currently in the room. One who was invited, or knocks, can be turned away.
    if (before === undefined || before === 'leave' || before === 'ban') {
      throw new MatrixError(403, 'M_FORBIDDEN', `${body.user_id} is not in this room.`)
    }
    await setMembership(needs, { roomId, sender: session.userId, membership: 'leave', body })
    return {}
  },
)

export const banRoute = answer(ban, async ({ params: { roomId }, body, session }, needs: Needs) => {
  await requireJoined(needs.rooms, session.userId, roomId)
  await setMembership(needs, { roomId, sender: session.userId, membership: 'ban', body })
  return {}
})

export const unbanRoute = answer(
  unban,
  async ({ params: { roomId }, body, session }, needs: Needs) => {
    await requireJoined(needs.rooms, session.userId, roomId)
    if ((await membershipOf(needs, roomId, body.user_id)) !== 'ban') {
      throw new MatrixError(403, 'M_FORBIDDEN', `${body.user_id} is not banned from this room.`)
    }
    await setMembership(needs, { roomId, sender: session.userId, membership: 'leave', body })
    return {}
  },
)

export const joinedRoomsRoute = answer(
  getJoinedRooms,
  async ({ session: { userId } }, { rooms }: Needs) => {
    const memberships = await rooms.membershipsOf(userId)
    const joined = memberships.filter(({ membership }) => membership === 'join')
    return { joined_rooms: joined.map(({ roomId }) => roomId) }
  },
)

async function membershipOf({ rooms }: Needs, roomId: RoomId, userId: UserId): Promise<unknown> {
  const state = await rooms.currentState(roomId)
  const event = await state?.event('m.room.member', userId)
  return event?.content.membership
}

async function setMembership(
  { rooms }: Needs,
  change: {
    readonly roomId: RoomId
    readonly sender: UserId
    readonly membership: 'leave' | 'ban'
    readonly body: { readonly user_id: UserId; readonly reason?: string | undefined }
  },
): Promise<void> {
  const { roomId, sender, membership, body } = change
  await rooms.send(roomId, {
    sender,
    type: 'm.room.member',
    state_key: body.user_id,
    content: { membership, ...reasonContent(body) },
  })
}
