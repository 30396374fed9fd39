/**
 * Sending message events.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#sending-events-to-a-room
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'
import { delayQuery } from '../proposals/msc4140.ts'
import { stickyQuery } from '../proposals/msc4354.ts'

/** `PUT /_matrix/client/v3/rooms/{roomId}/send/{eventType}/{txnId}` */
export const sendMessage = endpoint({
  operationId: 'sendMessage',
  method: 'PUT',
  path: '/_matrix/client/v3/rooms/{roomId}/send/{eventType}/{txnId}',
  auth: 'user',
  guests: true,
  params: {
    roomId: t.roomId,
    eventType: t.string({ min: 1, max: 255 }),
    txnId: t.string({ min: 1, max: 255 }),
  },
  query: { ...delayQuery, ...stickyQuery },
  body: t.jsonObject,
  // The content may be written with more escapes than the event will have.
  bodyBytesMax: 393_216,
  // Of what is sent later, there is an ID of the delay instead.
  response: t.object({ event_id: t.optional(t.eventId), delay_id: t.optional(t.string()) }),
})
