/**
 * Saying what has been read.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#receipts
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `POST /_matrix/client/v3/rooms/{roomId}/receipt/{receiptType}/{eventId}` */
export const postReceipt = endpoint({
  operationId: 'postReceipt',
  method: 'POST',
  path: '/_matrix/client/v3/rooms/{roomId}/receipt/{receiptType}/{eventId}',
  auth: 'user',
  params: {
    roomId: t.roomId,
    receiptType: t.oneOf('m.read', 'm.read.private', 'm.fully_read'),
    eventId: t.eventId,
  },
  // That it is text is checked later, since the spec asks for an error code of its own.
  body: t.object({ thread_id: t.optional(t.json) }),
  response: t.object({}),
})
