/**
 * Making users leave.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#leaving-rooms
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `POST /_matrix/client/v3/rooms/{roomId}/kick` */
export const kick = endpoint({
  operationId: 'kick',
  method: 'POST',
  path: '/_matrix/client/v3/rooms/{roomId}/kick',
  auth: 'user',
  notIfSuspended: true,
  params: { roomId: t.roomId },
  body: t.object({ user_id: t.userId, reason: t.optional(t.string()) }),
  response: t.object({}),
})
