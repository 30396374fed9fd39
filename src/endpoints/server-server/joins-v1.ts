/**
 * Joining a room through a server that is in it, version 1.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#joining-rooms
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `GET /_matrix/federation/v1/make_join/{roomId}/{userId}`: a template for a join event. */
export const makeJoin = endpoint({
  operationId: 'makeJoin',
  method: 'GET',
  path: '/_matrix/federation/v1/make_join/{roomId}/{userId}',
  auth: 'server',
  params: { roomId: t.roomId, userId: t.userId },
  query: { ver: t.optional(t.array(t.string({ max: 255 }))) },
  response: t.object({ room_version: t.optional(t.string()), event: t.jsonObject }),
})

/**
 * `PUT /_matrix/federation/v1/send_join/{roomId}/{eventId}`: the join event, signed. The answer is an
 * array of the status and the room's state.
 */
export const sendJoinV1 = endpoint({
  operationId: 'sendJoinV1',
  method: 'PUT',
  path: '/_matrix/federation/v1/send_join/{roomId}/{eventId}',
  auth: 'server',
  params: { roomId: t.roomId, eventId: t.eventId },
  body: t.unknown(),
  bodyIsBytes: true,
  bodyBytesMax: 1024 * 1024,
  response: t.unknown(),
})
