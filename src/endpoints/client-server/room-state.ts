/**
 * Setting the state of a room.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#sending-events-to-a-room
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `PUT /_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey}` */
export const setRoomStateWithKey = endpoint({
  operationId: 'setRoomStateWithKey',
  method: 'PUT',
  path: '/_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey}',
  // When an empty string, the trailing slash on this endpoint is optional.
  lastParamMayBeEmpty: true,
  auth: 'user',
  guests: true,
  params: {
    roomId: t.roomId,
    eventType: t.string({ min: 1, max: 255 }),
    stateKey: t.string({ max: 255 }),
  },
  body: t.jsonObject,
  bodyBytesMax: 393_216,
  response: t.object({ event_id: t.eventId }),
})
