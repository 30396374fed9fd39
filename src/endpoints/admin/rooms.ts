/**
 * Looking into rooms as their server sees them.
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

const decision = t.object({
  event_id: t.eventId,
  /** The list that the event was in. */
  list: t.oneOf('power', 'mainline', 'depth'),
  /** Its sender's power level, in the list `power`; text for what is no integer. */
  sender_level: t.optional(t.union(t.integer(), t.string())),
  /** In the list `mainline`; absent for an event that leans on nothing of the mainline. */
  mainline_position: t.optional(t.integer()),
  allowed: t.boolean(),
  /** The auth rule that refused it. */
  rule: t.optional(t.string()),
})

const meeting = t.object({
  /** The event before which the states were resolved; absent for the current state of the room. */
  before: t.optional(t.eventId),
  /** The events after which the states were. */
  parents: t.array(t.eventId),
  algorithm: t.oneOf('v1', 'v2', 'v2.1'),
  conflicts: t.array(
    t.object({
      type: t.string(),
      state_key: t.string(),
      /** What stands there after each of the parents, in their order. */
      candidates: t.array(t.union(t.eventId, t.literal(''))),
      winner: t.optional(t.eventId),
    }),
  ),
  /** What was tried, in the order of trying: the last that was allowed keeps its place. */
  decisions: t.array(decision),
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
