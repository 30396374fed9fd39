/**
 * Saying that one is typing.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#typing-notifications
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `PUT /_matrix/client/v3/rooms/{roomId}/typing/{userId}` */
export const setTyping = endpoint({
  operationId: 'setTyping',
  method: 'PUT',
  path: '/_matrix/client/v3/rooms/{roomId}/typing/{userId}',
  auth: 'user',
  notIfSuspended: true,
  params: { roomId: t.roomId, userId: t.userId },
  body: t.object({ typing: t.boolean(), timeout: t.optional(t.integer({ min: 0 })) }),
  response: t.object({}),
})
