/**
 * Redacting events.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#redactions
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `PUT /_matrix/client/v3/rooms/{roomId}/redact/{eventId}/{txnId}` */
export const redactEvent = endpoint({
  operationId: 'redactEvent',
  method: 'PUT',
  path: '/_matrix/client/v3/rooms/{roomId}/redact/{eventId}/{txnId}',
  auth: 'user',
  params: { roomId: t.roomId, eventId: t.eventId, txnId: t.string({ min: 1, max: 255 }) },
  body: t.object({ reason: t.optional(t.string()) }),
  response: t.object({ event_id: t.eventId }),
})
