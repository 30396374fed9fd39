/**
 * Events that other servers sent and that have no place in their room yet: their history cannot be
 * had, or this server fails at them.
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** The most events that are asked for at once. */
const waitingEventsMax = 1000

/** `GET /_hansa/admin/v1/waiting_events`: the oldest first. */
export const getWaitingEvents = endpoint({
  operationId: 'getWaitingEvents',
  method: 'GET',
  path: '/_hansa/admin/v1/waiting_events',
  auth: 'admin',
  query: {
    /** The `next` of the page before. */
    from: t.optional(t.integer({ min: 0 })),
    limit: t.optional(t.integer({ min: 1, max: waitingEventsMax })),
  },
  response: t.object({
    events: t.array(
      t.object({
        event_id: t.eventId,
        room_id: t.roomId,
        /** The server that sent it to us. */
        origin: t.serverName,
        since_ts: t.integer(),
        /** How often others were asked in vain for what it lacks. */
        tries: t.integer(),
        /** Why it is not tried any more, if so. */
        problem: t.optional(t.string()),
      }),
      { max: waitingEventsMax },
    ),
    next: t.optional(t.integer()),
  }),
})

/** `POST …/rooms/{roomId}/waiting_events/retry`: tries all of a room, also what was set aside. */
export const retryWaitingEvents = endpoint({
  operationId: 'retryWaitingEvents',
  method: 'POST',
  path: '/_hansa/admin/v1/rooms/{roomId}/waiting_events/retry',
  auth: 'admin',
  params: { roomId: t.roomId },
  response: t.object({}),
})

/** `DELETE …/rooms/{roomId}/waiting_events/{eventId}`: gives an event up. */
export const discardWaitingEvent = endpoint({
  operationId: 'discardWaitingEvent',
  method: 'DELETE',
  path: '/_hansa/admin/v1/rooms/{roomId}/waiting_events/{eventId}',
  auth: 'admin',
  params: { roomId: t.roomId, eventId: t.eventId },
  response: t.object({}),
})
