/**
 * Events that other servers took, and said that they could not use.
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** As many are kept of one server. */
const refusedEventsMax = 1000

/** `GET /_hansa/admin/v1/refused_events/{destination}`: the newest first. */
export const getRefusedEvents = endpoint({
  operationId: 'getRefusedEvents',
  method: 'GET',
  path: '/_hansa/admin/v1/refused_events/{destination}',
  auth: 'admin',
  params: { destination: t.serverName },
  query: { limit: t.optional(t.integer({ min: 1, max: refusedEventsMax })) },
  response: t.object({
    events: t.array(
      t.object({
        event_id: t.eventId,
        room_id: t.roomId,
        /** In the other server's words. */
        error: t.string(),
        refused_ts: t.integer(),
      }),
      { max: refusedEventsMax },
    ),
  }),
})
