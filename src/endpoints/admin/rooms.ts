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

/** The most rooms that are told at once. */
const roomsMax = 100

/** `GET /_hansa/admin/v1/rooms`: the rooms that this server holds, by their IDs. */
export const listKnownRooms = endpoint({
  operationId: 'hansaListRooms',
  method: 'GET',
  path: '/_hansa/admin/v1/rooms',
  auth: 'admin',
  query: {
    /** The last room of the page before. */
    after: t.optional(t.string({ max: 255 })),
    limit: t.optional(t.integer({ min: 1, max: roomsMax })),
  },
  response: t.object({
    rooms: t.array(
      t.object({
        room_id: t.roomId,
        room_version: t.string(),
        name: t.optional(t.string()),
        joined_members: t.integer(),
        /** How many servers have somebody in the room. */
        servers: t.integer(),
        state_events: t.integer(),
        /** Of whose state not all is known yet. */
        partial: t.boolean(),
      }),
      { max: roomsMax },
    ),
    /** To be given as `after`; absent if these are the last. */
    next: t.optional(t.roomId),
  }),
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
