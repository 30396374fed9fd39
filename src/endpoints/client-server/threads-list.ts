/**
 * The threads of a room.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#querying-threads-in-a-room
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `GET /_matrix/client/v1/rooms/{roomId}/threads` */
export const getThreadRoots = endpoint({
  operationId: 'getThreadRoots',
  method: 'GET',
  path: '/_matrix/client/v1/rooms/{roomId}/threads',
  auth: 'user',
  guests: true,
  params: { roomId: t.roomId },
  query: {
    include: t.optional(t.oneOf('all', 'participated')),
    // Must be an integer greater than zero.
    limit: t.optional(t.integer({ min: 1 })),
    from: t.optional(t.string()),
  },
  response: t.object({ chunk: t.array(t.jsonObject), next_batch: t.optional(t.string()) }),
})
