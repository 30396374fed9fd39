/**
 * A room as it is, for who is in it, has left it, or may look into it.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidinitialsync
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `GET /_matrix/client/v3/rooms/{roomId}/initialSync` */
export const roomInitialSync = endpoint({
  operationId: 'roomInitialSync',
  method: 'GET',
  path: '/_matrix/client/v3/rooms/{roomId}/initialSync',
  auth: 'user',
  guests: true,
  params: { roomId: t.roomId },
  response: t.object({
    room_id: t.roomId,
    membership: t.optional(t.oneOf('invite', 'join', 'leave', 'ban')),
    messages: t.optional(t.jsonObject),
    state: t.optional(t.array(t.jsonObject, { max: 1_000_000 })),
    visibility: t.optional(t.oneOf('private', 'public')),
    account_data: t.optional(t.array(t.jsonObject, { max: 100_000 })),
  }),
})
