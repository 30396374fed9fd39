/**
 * Inviting users.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#joining-rooms
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `POST /_matrix/client/v3/rooms/{roomId}/invite` */
export const inviteUser = endpoint({
  operationId: 'inviteUser',
  method: 'POST',
  path: '/_matrix/client/v3/rooms/{roomId}/invite',
  auth: 'user',
  params: { roomId: t.roomId },
  body: t.object({ user_id: t.userId, reason: t.optional(t.string()) }),
  response: t.object({}),
})
