/**
 * Paging through a room's history.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#getting-events-for-a-room
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `GET /_matrix/client/v3/rooms/{roomId}/messages` */
export const getRoomEvents = endpoint({
  operationId: 'getRoomEvents',
  method: 'GET',
  path: '/_matrix/client/v3/rooms/{roomId}/messages',
  auth: 'user',
  guests: true,
  params: { roomId: t.roomId },
  query: {
    from: t.optional(t.string()),
    to: t.optional(t.string()),
    dir: t.oneOf('b', 'f'),
    limit: t.optional(t.integer({ min: 0 })),
    filter: t.optional(t.string()),
  },
  response: t.object({
    start: t.string(),
    end: t.optional(t.string()),
    chunk: t.array(t.jsonObject),
    state: t.optional(t.array(t.jsonObject)),
  }),
})
