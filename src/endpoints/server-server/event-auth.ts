/**
 * Fetching the auth chain of an event.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#retrieving-event-authorisation-information
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `GET /_matrix/federation/v1/event_auth/{roomId}/{eventId}`: the complete auth chain. */
export const getEventAuth = endpoint({
  operationId: 'getEventAuth',
  method: 'GET',
  path: '/_matrix/federation/v1/event_auth/{roomId}/{eventId}',
  auth: 'server',
  params: { roomId: t.roomId, eventId: t.eventId },
  response: t.object({ auth_chain: t.array(t.unknown(), { max: 2_000_000 }) }),
})
