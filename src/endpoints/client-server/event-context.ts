/**
 * What stands around an event.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#event-context
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `GET /_matrix/client/v3/rooms/{roomId}/context/{eventId}` */
export const getEventContext = endpoint({
  operationId: 'getEventContext',
  method: 'GET',
  path: '/_matrix/client/v3/rooms/{roomId}/context/{eventId}',
  auth: 'user',
  guests: true,
  params: { roomId: t.roomId, eventId: t.eventId },
  query: {
    limit: t.optional(t.integer({ min: 0 })),
    filter: t.optional(t.string()),
  },
  response: t.object({
    start: t.string(),
    end: t.string(),
    event: t.jsonObject,
    events_before: t.array(t.jsonObject),
    events_after: t.array(t.jsonObject),
    state: t.array(t.jsonObject, { max: 1_000_000 }),
  }),
})
