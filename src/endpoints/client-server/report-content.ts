/**
 * Reporting rooms, events and users to the administrators.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#reporting-content
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

const reason = t.string({ max: 4_096 })

/** `POST /_matrix/client/v3/rooms/{roomId}/report` */
export const reportRoom = endpoint({
  operationId: 'reportRoom',
  method: 'POST',
  path: '/_matrix/client/v3/rooms/{roomId}/report',
  auth: 'user',
  params: { roomId: t.roomId },
  body: t.object({ reason }),
  response: t.object({}),
})

/** `POST /_matrix/client/v3/rooms/{roomId}/report/{eventId}` */
export const reportEvent = endpoint({
  operationId: 'reportEvent',
  method: 'POST',
  path: '/_matrix/client/v3/rooms/{roomId}/report/{eventId}',
  auth: 'user',
  params: { roomId: t.roomId, eventId: t.eventId },
  body: t.object({ reason: t.optional(reason) }),
  response: t.object({}),
})

/** `POST /_matrix/client/v3/users/{userId}/report` */
export const reportUser = endpoint({
  operationId: 'reportUser',
  method: 'POST',
  path: '/_matrix/client/v3/users/{userId}/report',
  auth: 'user',
  params: { userId: t.userId },
  body: t.object({ reason }),
  response: t.object({}),
})
