/**
 * Invites of users who were invited by an e-mail address or the like.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#third-party-invites
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/**
 * `PUT /_matrix/federation/v1/exchange_third_party_invite/{roomId}`: asks the server of whoever made
 * an invitation to invite the user who has taken it up.
 */
export const exchangeThirdPartyInvite = endpoint({
  operationId: 'exchangeThirdPartyInvite',
  method: 'PUT',
  path: '/_matrix/federation/v1/exchange_third_party_invite/{roomId}',
  auth: 'server',
  params: { roomId: t.roomId },
  body: t.object({
    type: t.literal('m.room.member'),
    room_id: t.roomId,
    sender: t.userId,
    state_key: t.userId,
    content: t.object({
      membership: t.literal('invite'),
      third_party_invite: t.object({ signed: t.jsonObject }),
    }),
  }),
  response: t.object({}),
})

/**
 * `PUT /_matrix/federation/v1/3pid/onbind`: an identity server tells that one of our users has shown
 * that an address is theirs. It signs nothing but what is in the invites.
 */
export const onBindThirdPartyIdentifier = endpoint({
  operationId: 'onBindThirdPartyIdentifier',
  method: 'PUT',
  path: '/_matrix/federation/v1/3pid/onbind',
  auth: 'none',
  body: t.object({
    medium: t.string(),
    address: t.string(),
    mxid: t.userId,
    invites: t.array(t.jsonObject, { max: 100 }),
  }),
  response: t.object({}),
})
