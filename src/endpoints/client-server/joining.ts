/**
 * Joining rooms.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#joining-rooms
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** What an identity server signed for who was invited by their address. */
const thirdPartySigned = t.asJson(
  t.object({
    sender: t.string({ max: 255 }),
    mxid: t.string({ max: 255 }),
    token: t.string({ max: 1_000 }),
    signatures: t.record(t.record(t.string({ max: 1_000 }))),
  }),
)

const body = t.object({
  third_party_signed: t.optional(thirdPartySigned),
  reason: t.optional(t.string()),
})

/** `POST /_matrix/client/v3/rooms/{roomId}/join` */
export const joinRoomById = endpoint({
  operationId: 'joinRoomById',
  method: 'POST',
  path: '/_matrix/client/v3/rooms/{roomId}/join',
  auth: 'user',
  notIfSuspended: true,
  guests: true,
  params: { roomId: t.roomId },
  body,
  response: t.object({ room_id: t.roomId }),
})

/** `POST /_matrix/client/v3/join/{roomIdOrAlias}` */
export const joinRoom = endpoint({
  operationId: 'joinRoom',
  method: 'POST',
  path: '/_matrix/client/v3/join/{roomIdOrAlias}',
  auth: 'user',
  notIfSuspended: true,
  guests: true,
  params: { roomIdOrAlias: t.union(t.roomId, t.roomAlias) },
  query: {
    via: t.optional(t.array(t.serverName, { max: 50 })),
    // What `via` was called before.
    server_name: t.optional(t.array(t.serverName, { max: 50 })),
  },
  body,
  response: t.object({ room_id: t.roomId }),
})
