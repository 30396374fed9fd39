/**
 * Banning users, and letting them in again.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#banning-users-in-a-room
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `POST /_matrix/client/v3/rooms/{roomId}/ban` */
export const ban = endpoint({
  operationId: 'ban',
  method: 'POST',
  path: '/_matrix/client/v3/rooms/{roomId}/ban',
  auth: 'user',
  notIfSuspended: true,
  params: { roomId: t.roomId },
  body: t.object({ user_id: t.userId, reason: t.optional(t.string()) }),
  response: t.object({}),
})

/** `POST /_matrix/client/v3/rooms/{roomId}/unban` */
export const unban = endpoint({
  operationId: 'unban',
  method: 'POST',
  path: '/_matrix/client/v3/rooms/{roomId}/unban',
  auth: 'user',
  notIfSuspended: true,
  params: { roomId: t.roomId },
  body: t.object({ user_id: t.userId, reason: t.optional(t.string()) }),
  response: t.object({}),
})
