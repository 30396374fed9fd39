/**
 * Knocking on a room through a server that is in it.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#knocking-rooms
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `GET /_matrix/federation/v1/make_knock/{roomId}/{userId}`: a template for a knock event. */
export const makeKnock = endpoint({
  operationId: 'makeKnock',
  method: 'GET',
  path: '/_matrix/federation/v1/make_knock/{roomId}/{userId}',
  auth: 'server',
  params: { roomId: t.roomId, userId: t.userId },
  query: { ver: t.array(t.string({ max: 255 })) },
  response: t.object({ room_version: t.string(), event: t.jsonObject }),
})

/** `PUT /_matrix/federation/v1/send_knock/{roomId}/{eventId}`: the knock event, signed. */
export const sendKnock = endpoint({
  operationId: 'sendKnock',
  method: 'PUT',
  path: '/_matrix/federation/v1/send_knock/{roomId}/{eventId}',
  auth: 'server',
  params: { roomId: t.roomId, eventId: t.eventId },
  body: t.unknown(),
  bodyIsBytes: true,
  bodyBytesMax: 1024 * 1024,
  response: t.object({ knock_room_state: t.array(t.unknown()) }),
})
