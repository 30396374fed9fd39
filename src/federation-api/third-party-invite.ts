/**
 * Exchanges invitations of addresses for invites of users.
 *
 * @module
 */

import {
  exchangeThirdPartyInvite,
  onBindThirdPartyIdentifier,
} from '#endpoints/server-server/third-party-invite.ts'
import { answer } from '#http/endpoint.ts'
import { serverNameOf } from '#protocol/identifiers/common-format.ts'
import type { UserId } from '#protocol/identifiers/ids.ts'
import { parseRoomId } from '#protocol/identifiers/room-id.ts'
import { parseUserId } from '#protocol/identifiers/user-id.ts'
import { isJsonObject, type Json, type JsonObject } from '#protocol/json.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Server } from '#server.ts'

export const exchangeThirdPartyInviteRoute = answer(
  exchangeThirdPartyInvite,
  async ({ origin, params, body }, { roomsForServers }: Pick<Server, 'roomsForServers'>) => {
    // The room ID must match the ID given in the path.
    if (body.room_id !== params.roomId) {
      throw new MatrixError(400, 'M_INVALID_PARAM', 'The event is of another room.')
    }
    const { sender, state_key: target, content, room_id: roomId } = body
    const { signed } = content.third_party_invite
    await roomsForServers.exchangeThirdPartyInvite(origin, { roomId, sender, target, signed })
    return {}
  },
)

type Needs = Pick<Server, 'log' | 'rooms' | 'serverName' | 'users'>

export const onBindRoute = answer(
  onBindThirdPartyIdentifier,
  async ({ body: { mxid, invites } }, needs: Needs) => {
    const { rooms, users, serverName, log } = needs
    const isOurs = serverNameOf(mxid) === serverName && (await users.accounts.exists(mxid))
    if (!isOurs) throw new MatrixError(400, 'M_INVALID_PARAM', `${mxid} is no user of this server.`)
    let failure: MatrixError | undefined
    for (const invite of invites) {
      const read = readInvite(invite, mxid)
      if (read === undefined) continue
      try {
        await rooms.redeemThirdPartyInvite(read)
      } catch (error) {
        // One invite that has become void must not keep the others.
        if (!(error instanceof MatrixError)) throw error
        log.info('an invitation could not be taken up', { roomId: read.roomId, mxid, error })
        if (error.status >= 500) failure = error
      }
    }
    // The identity server may try again what failed because another server was down.
    if (failure !== undefined) throw failure
    return {}
  },
)

/** An invite of the list, if it is of this user and has what it needs. */
function readInvite(invite: JsonObject, target: UserId) {
  const roomId = parseRoomId(text(invite.room_id))
  const sender = parseUserId(text(invite.sender))
  const { signed, mxid } = invite
  if (roomId === undefined || sender === undefined || !isJsonObject(signed)) return undefined
  if (mxid !== target || signed.mxid !== target) return undefined
  return { roomId, sender, target, signed }
}

function text(value: Json | undefined): string {
  return typeof value === 'string' ? value : ''
}
