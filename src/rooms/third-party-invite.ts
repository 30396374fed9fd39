/**
 * Invites of users who were invited by an e-mail address or the like: once they have shown that it is
 * theirs, the invitation in the room is exchanged for an invite of the user.
 *
 * The invite's sender is whoever made the invitation, also where it is issued by another server than
 * theirs: what makes it valid is a signature by a key that is in the invitation.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#third-party-invites
 *
 * @module
 */

import { stringIn } from '#protocol/auth-rules/room-members.ts'
import { keyThatSigned } from '#protocol/auth-rules/third-party-signature.ts'
import { serverNameOf } from '#protocol/identifiers/common-format.ts'
import type { EventId, RoomId, UserId } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import { sendSignedByBoth } from './invite.ts'
import { helpersOf, helpOfOne } from './own-membership.ts'
import type { RoomParts } from './parts.ts'

/** An invitation that somebody can take up. */
export interface ThirdPartyInvite {
  readonly roomId: RoomId
  /** Who made the invitation. */
  readonly sender: UserId
  readonly target: UserId
  /** What the identity server signed: `mxid`, `token` and `signatures`. */
  readonly signed: JsonObject
}

/** Asks whoever gave a key whether it is still good. */
export type IsThirdPartyKeyValid = (key: {
  readonly publicKey: string
  readonly validityUrl: string
}) => Promise<boolean>

type Parts = RoomParts & { readonly isThirdPartyKeyValid: IsThirdPartyKeyValid }

/**
 * Invites one of our users by what an identity server gave: in a room that we are in by ourselves,
 * else by the server of whoever made the invitation. Throws a `MatrixError`.
 */
export async function redeemThirdPartyInvite(
  parts: Parts,
  invite: ThirdPartyInvite,
): Promise<void> {
  const { roomId, sender, target, signed } = invite
  if (await parts.rooms.isServerInRoom(parts.serverName, roomId)) {
    await issueThirdPartyInvite(parts, invite)
    return
  }
  const event = {
    type: 'm.room.member',
    room_id: roomId,
    sender,
    state_key: target,
    // Whoever issues the invite knows the name that is in the invitation.
    content: { membership: 'invite', third_party_invite: { display_name: '', signed } },
  }
  await helpOfOne(parts, helpersOf(parts, roomId, [serverNameOf(sender)]), (helper) =>
    parts.remoteServers.exchangeThirdPartyInvite(helper, { roomId, event }),
  )
}

/** Issues the invite in a room that we are in. Throws a `MatrixError`. */
export async function issueThirdPartyInvite(
  parts: Parts,
  { roomId, sender, target, signed }: ThirdPartyInvite,
): Promise<EventId> {
  const { engine, rooms, serverName } = parts
  const token = stringIn(signed, 'token')
  const state = await rooms.currentState(roomId)
  const invitation =
    token === undefined ? undefined : await state?.event('m.room.third_party_invite', token)
  if (invitation === undefined) {
    throw new MatrixError(403, 'M_FORBIDDEN', 'The room has no such invitation.')
  }
  await checkKey(parts, signed, invitation.content)
  const display_name = stringIn(invitation.content, 'display_name') ?? ''
  const content = { membership: 'invite', third_party_invite: { display_name, signed } }
  const event = { sender, type: 'm.room.member', state_key: target, content }
  if (serverNameOf(target) === serverName) return await engine.send(roomId, event)
  const pdu = await engine.build(roomId, event)
  return await sendSignedByBoth(parts, target, pdu)
}

/**
 * The server which is already participating in the room MUST validate that the public key used for
 * signing is still valid, by checking `key_validity_url`. If this URL is absent, the key must be
 * considered valid indefinitely.
 */
async function checkKey(
  { isThirdPartyKeyValid }: Parts,
  signed: JsonObject,
  invitation: JsonObject,
): Promise<void> {
  const key = keyThatSigned(signed, invitation)
  if (key === undefined) {
    throw new MatrixError(403, 'M_FORBIDDEN', 'No key of the invitation signed this.')
  }
  const { publicKey, validityUrl } = key
  if (validityUrl === undefined || (await isThirdPartyKeyValid({ publicKey, validityUrl }))) return
  const message = 'Nobody says that the key is still valid by which this was signed.'
  throw new MatrixError(403, 'M_FORBIDDEN', message)
}
