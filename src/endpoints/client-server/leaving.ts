/**
 * Leaving rooms, and forgetting them.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#leaving-rooms
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `POST /_matrix/client/v3/rooms/{roomId}/leave` */
export const leaveRoom = endpoint({
  operationId: 'leaveRoom',
  method: 'POST',
  path: '/_matrix/client/v3/rooms/{roomId}/leave',
  auth: 'user',
  guests: true,
  params: { roomId: t.roomId },
  body: t.object({ reason: t.optional(t.string()) }),
  response: t.object({}),
})

/** `POST /_matrix/client/v3/rooms/{roomId}/forget` */
export const forgetRoom = endpoint({
  operationId: 'forgetRoom',
  method: 'POST',
  path: '/_matrix/client/v3/rooms/{roomId}/forget',
  auth: 'user',
  guests: true,
  params: { roomId: t.roomId },
  response: t.object({}),
})
