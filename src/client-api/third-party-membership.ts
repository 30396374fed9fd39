/**
 * Invites whoever has an e-mail address or the like.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#third-party-invites
 *
 * @module
 */

import { publicRoomOf } from '#directory/room-summary.ts'
import type { StoredInvite } from '#identity/identity-servers.ts'
import type { RoomId, ServerName, UserId } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Server } from '#server.ts'
import { hasLevel } from './power.ts'
import { profileContent } from './room-content.ts'

export type ThirdPartyNeeds = Pick<Server, 'identityServers' | 'rooms' | 'serverName' | 'users'>

/** The identity server to ask, with the user's token there, and the address. */
export interface AddressedInvite {
  readonly id_server: ServerName
  readonly id_access_token: string
  readonly medium: string
  readonly address: string
}

/** Gives the user whom the address leads to, or leaves an invitation in the room and gives nothing. */
export async function inviteAddress(
  needs: ThirdPartyNeeds,
  { roomId, sender }: { readonly roomId: RoomId; readonly sender: UserId },
  invite: AddressedInvite,
): Promise<UserId | undefined> {
  // Nobody is written to who could not be invited.
  if (!(await hasLevel(needs, { roomId, userId: sender }, 'invite'))) {
    throw new MatrixError(403, 'M_FORBIDDEN', 'Inviting needs the invite level.')
  }
  const server = { name: invite.id_server, token: invite.id_access_token }
  const id = { medium: invite.medium, address: canonicalAddress(invite) }
  const userId = await needs.identityServers.lookUp(server, id)
  if (userId !== undefined) return userId
  const request = { ...id, room_id: roomId, sender, ...(await aboutRoom(needs, roomId, sender)) }
  const stored = await needs.identityServers.storeInvite(server, request)
  const content = invitationContent(stored)
  const type = 'm.room.third_party_invite'
  await needs.rooms.send(roomId, { sender, type, state_key: stored.token, content })
  return undefined
}

/** E-mail addresses are folded to lower case before they are hashed. */
function canonicalAddress({ medium, address }: AddressedInvite): string {
  return medium === 'email' ? address.toLowerCase() : address
}

/** Optional fields in the request should be populated to the best of the server's ability. */
async function aboutRoom(
  needs: ThirdPartyNeeds,
  roomId: RoomId,
  sender: UserId,
): Promise<JsonObject> {
  const state = await needs.rooms.currentState(roomId)
  const room = state && (await publicRoomOf({ roomId, joinedMembers: 1 }, state))
  const { displayname, avatar_url } = await profileContent(needs, sender)
  const fields = {
    room_alias: room?.canonical_alias,
    room_avatar_url: room?.avatar_url,
    room_join_rules: room?.join_rule,
    room_name: room?.name,
    room_type: room?.room_type,
    sender_display_name: displayname,
    sender_avatar_url: avatar_url,
  }
  const known = Object.entries(fields).filter((field) => field[1] !== undefined)
  return Object.fromEntries(known) as JsonObject
}

function invitationContent({ display_name, public_keys }: StoredInvite): JsonObject {
  const keys = public_keys.map(({ public_key, key_validity_url }) => ({
    public_key,
    key_validity_url,
  }))
  // The first key stands alone too, for servers that know of one only.
  return { display_name, ...keys[0], public_keys: keys }
}
