/**
 * Leaving a room, or rejecting an invite to it, through a server that is in it, version 1.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#leaving-rooms-rejecting-invites
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `GET /_matrix/federation/v1/make_leave/{roomId}/{userId}`: a template for a leave event. */
export const makeLeave = endpoint({
  operationId: 'makeLeave',
  method: 'GET',
  path: '/_matrix/federation/v1/make_leave/{roomId}/{userId}',
  auth: 'server',
  params: { roomId: t.roomId, userId: t.userId },
  response: t.object({ room_version: t.optional(t.string()), event: t.jsonObject }),
})

/**
 * `PUT /_matrix/federation/v1/send_leave/{roomId}/{eventId}`: the leave event, signed. The answer is
 * an array of the status and an empty object.
 */
export const sendLeaveV1 = endpoint({
  operationId: 'sendLeaveV1',
  method: 'PUT',
  path: '/_matrix/federation/v1/send_leave/{roomId}/{eventId}',
  auth: 'server',
  params: { roomId: t.roomId, eventId: t.eventId },
  body: t.unknown(),
  bodyIsBytes: true,
  bodyBytesMax: 1024 * 1024,
  response: t.unknown(),
})
