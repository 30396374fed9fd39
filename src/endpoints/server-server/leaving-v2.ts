/**
 * Leaving a room, or rejecting an invite to it, through a server that is in it, version 2.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#leaving-rooms-rejecting-invites
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `PUT /_matrix/federation/v2/send_leave/{roomId}/{eventId}`: the leave event, signed. */
export const sendLeaveV2 = endpoint({
  operationId: 'sendLeaveV2',
  method: 'PUT',
  path: '/_matrix/federation/v2/send_leave/{roomId}/{eventId}',
  auth: 'server',
  params: { roomId: t.roomId, eventId: t.eventId },
  body: t.unknown(),
  bodyIsBytes: true,
  bodyBytesMax: 1024 * 1024,
  response: t.object({}),
})
