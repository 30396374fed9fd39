/**
 * The stream of events, of all rooms of a user or of one that they need not be in: the two operations of
 * the spec have one path.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#room-previews
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `GET /_matrix/client/v3/events`, with `room_id` or without */
export const peekEvents = endpoint({
  operationId: 'peekEvents',
  method: 'GET',
  path: '/_matrix/client/v3/events',
  auth: 'user',
  guests: true,
  query: {
    from: t.optional(t.string({ max: 100 })),
    timeout: t.optional(t.integer({ min: 0 })),
    room_id: t.optional(t.roomId),
  },
  response: t.object({
    start: t.string(),
    end: t.string(),
    chunk: t.array(t.jsonObject, { max: 100_000 }),
  }),
})
