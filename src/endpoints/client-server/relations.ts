/**
 * The children of an event.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#relationships-api
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

const common = {
  method: 'GET',
  auth: 'user',
  guests: true,
  query: {
    from: t.optional(t.string()),
    to: t.optional(t.string()),
    limit: t.optional(t.integer({ min: 0 })),
    dir: t.optional(t.oneOf('b', 'f')),
    recurse: t.optional(t.boolean()),
  },
  response: t.object({
    chunk: t.array(t.jsonObject),
    next_batch: t.optional(t.string()),
    prev_batch: t.optional(t.string()),
    recursion_depth: t.optional(t.integer()),
  }),
} as const
const params = { roomId: t.roomId, eventId: t.eventId }
const relType = t.string({ max: 255 })

/** `GET /_matrix/client/v1/rooms/{roomId}/relations/{eventId}` */
export const getRelatingEvents = endpoint({
  ...common,
  operationId: 'getRelatingEvents',
  path: '/_matrix/client/v1/rooms/{roomId}/relations/{eventId}',
  params,
})

/** `GET /_matrix/client/v1/rooms/{roomId}/relations/{eventId}/{relType}` */
export const getRelatingEventsWithRelType = endpoint({
  ...common,
  operationId: 'getRelatingEventsWithRelType',
  path: '/_matrix/client/v1/rooms/{roomId}/relations/{eventId}/{relType}',
  params: { ...params, relType },
})

/** `GET /_matrix/client/v1/rooms/{roomId}/relations/{eventId}/{relType}/{eventType}` */
export const getRelatingEventsWithRelTypeAndEventType = endpoint({
  ...common,
  operationId: 'getRelatingEventsWithRelTypeAndEventType',
  path: '/_matrix/client/v1/rooms/{roomId}/relations/{eventId}/{relType}/{eventType}',
  params: { ...params, relType, eventType: t.string({ max: 255 }) },
})
