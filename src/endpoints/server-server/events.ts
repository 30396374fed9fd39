/**
 * Fetching single events, and the state of a room at one of its events.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#retrieving-events
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** The most events that an answer lists. */
const eventsMax = 2_000_000

/** `GET /_matrix/federation/v1/state/{roomId}`: the state before an event, as events. */
export const getRoomState = endpoint({
  operationId: 'getRoomState',
  method: 'GET',
  path: '/_matrix/federation/v1/state/{roomId}',
  auth: 'server',
  params: { roomId: t.roomId },
  query: { event_id: t.eventId },
  response: t.object({
    auth_chain: t.array(t.unknown(), { max: eventsMax }),
    pdus: t.array(t.unknown(), { max: eventsMax }),
  }),
})

/** `GET /_matrix/federation/v1/state_ids/{roomId}`: the state before an event, as event IDs. */
export const getRoomStateIds = endpoint({
  operationId: 'getRoomStateIds',
  method: 'GET',
  path: '/_matrix/federation/v1/state_ids/{roomId}',
  auth: 'server',
  params: { roomId: t.roomId },
  query: { event_id: t.eventId },
  response: t.object({
    auth_chain_ids: t.array(t.eventId, { max: eventsMax }),
    pdu_ids: t.array(t.eventId, { max: eventsMax }),
  }),
})

/** `GET /_matrix/federation/v1/event/{eventId}`: one event, as a transaction of one PDU. */
export const getEvent = endpoint({
  operationId: 'getEvent',
  method: 'GET',
  path: '/_matrix/federation/v1/event/{eventId}',
  auth: 'server',
  params: { eventId: t.eventId },
  response: t.object({
    origin: t.string(),
    origin_server_ts: t.integer(),
    pdus: t.array(t.unknown()),
  }),
})

/** `GET /_matrix/federation/v1/timestamp_to_event/{roomId}`: the event nearest to a time. */
export const getEventByTimestamp = endpoint({
  operationId: 'getEventByTimestamp',
  method: 'GET',
  path: '/_matrix/federation/v1/timestamp_to_event/{roomId}',
  auth: 'server',
  params: { roomId: t.roomId },
  query: { ts: t.timestamp, dir: t.oneOf('f', 'b') },
  response: t.object({ event_id: t.eventId, origin_server_ts: t.timestamp }),
})
