/**
 * Messages from device to device.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#send-to-device-messaging
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `PUT /_matrix/client/v3/sendToDevice/{eventType}/{txnId}` */
export const sendToDevice = endpoint({
  operationId: 'sendToDevice',
  method: 'PUT',
  path: '/_matrix/client/v3/sendToDevice/{eventType}/{txnId}',
  auth: 'user',
  guests: true,
  params: {
    eventType: t.string({ min: 1, max: 255 }),
    txnId: t.string({ min: 1, max: 255 }),
  },
  body: t.object({ messages: t.record(t.record(t.jsonObject)) }),
  keepsBytes: true,
  // Clients put the messages for some hundred devices into one request.
  bodyBytesMax: 4_194_304,
  response: t.object({}),
})
