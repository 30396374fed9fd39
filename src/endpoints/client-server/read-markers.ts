/**
 * Saying how far a room has been read.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#read-and-unread-markers
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `POST /_matrix/client/v3/rooms/{roomId}/read_markers` */
export const setReadMarker = endpoint({
  operationId: 'setReadMarker',
  method: 'POST',
  path: '/_matrix/client/v3/rooms/{roomId}/read_markers',
  auth: 'user',
  params: { roomId: t.roomId },
  body: t.object({
    'm.fully_read': t.optional(t.eventId),
    'm.read': t.optional(t.eventId),
    'm.read.private': t.optional(t.eventId),
  }),
  response: t.object({}),
})
