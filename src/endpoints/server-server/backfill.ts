/**
 * Fetching the events of a room that a server has not, backwards in time and in gaps.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#backfilling-and-retrieving-missing-events
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `GET /_matrix/federation/v1/backfill/{roomId}`: some events and the history before them. */
export const backfillRoom = endpoint({
  operationId: 'backfillRoom',
  method: 'GET',
  path: '/_matrix/federation/v1/backfill/{roomId}',
  auth: 'server',
  params: { roomId: t.roomId },
  query: { v: t.array(t.eventId), limit: t.integer() },
  response: t.object({
    origin: t.string(),
    origin_server_ts: t.integer(),
    pdus: t.array(t.unknown()),
  }),
})

/** `POST /_matrix/federation/v1/get_missing_events/{roomId}`: what is between some events. */
export const getMissingPreviousEvents = endpoint({
  operationId: 'getMissingPreviousEvents',
  method: 'POST',
  path: '/_matrix/federation/v1/get_missing_events/{roomId}',
  auth: 'server',
  params: { roomId: t.roomId },
  body: t.object({
    limit: t.optional(t.integer()),
    min_depth: t.optional(t.integer()),
    earliest_events: t.array(t.eventId),
    latest_events: t.array(t.eventId),
  }),
  response: t.object({ events: t.array(t.unknown()) }),
})
