/**
 * Looking into rooms as their server sees them.
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'
import { resolutionFields } from './resolution.ts'

const meeting = t.object({
  /** The event before which the states were resolved; absent for the current state of the room. */
  before: t.optional(t.eventId),
  ...resolutionFields,
})

/** The most events that are asked for at once. */
const graphEventsMax = 1000

/** `GET /_hansa/admin/v1/rooms/{roomId}/graph`: a room's events, verdicts and resolutions of state. */
export const getRoomGraph = endpoint({
  operationId: 'getRoomGraph',
  method: 'GET',
  path: '/_hansa/admin/v1/rooms/{roomId}/graph',
  auth: 'admin',
  params: { roomId: t.roomId },
  query: {
    /** The event from which the graph is followed back; the forward extremities, if absent. */
    from: t.optional(t.eventId),
    limit: t.optional(t.integer({ min: 1, max: graphEventsMax })),
  },
  response: t.object({
    room_id: t.roomId,
    room_version: t.string(),
    forward_extremities: t.array(t.eventId, { max: 10_000 }),
    /** The earliest first. */
    events: t.array(
      t.object({
        event_id: t.eventId,
        status: t.oneOf('accepted', 'soft_failed', 'rejected', 'outlier'),
        /** The auth rule for which it was soft-failed or rejected. */
        rule: t.optional(t.string()),
        redacted_by: t.optional(t.eventId),
        prev_events: t.array(t.eventId, { max: 10_000 }),
        auth_events: t.array(t.eventId, { max: 10_000 }),
        /** The event as servers exchange it. */
        pdu: t.unknown(),
      }),
      { max: 2 * graphEventsMax },
    ),
    meetings: t.array(meeting),
  }),
})
