/**
 * Jumping to a date.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1roomsroomidtimestamp_to_event
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `GET /_matrix/client/v1/rooms/{roomId}/timestamp_to_event`: the event nearest to a time. */
export const getEventByTimestamp = endpoint({
  operationId: 'getEventByTimestamp',
  method: 'GET',
  path: '/_matrix/client/v1/rooms/{roomId}/timestamp_to_event',
  auth: 'user',
  params: { roomId: t.roomId },
  query: { ts: t.timestamp, dir: t.oneOf('f', 'b') },
  response: t.object({ event_id: t.eventId, origin_server_ts: t.timestamp }),
})
