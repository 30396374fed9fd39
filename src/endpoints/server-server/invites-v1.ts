/**
 * Inviting a user of another server, version 1: for servers that know rooms of versions 1 and 2 only.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#inviting-to-a-room
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/**
 * `PUT /_matrix/federation/v1/invite/{roomId}/{eventId}`: the invite event, with the room's stripped
 * state in its `unsigned`. The answer is an array of the status and the event signed by both.
 */
export const sendInviteV1 = endpoint({
  operationId: 'sendInviteV1',
  method: 'PUT',
  path: '/_matrix/federation/v1/invite/{roomId}/{eventId}',
  auth: 'server',
  params: { roomId: t.roomId, eventId: t.eventId },
  body: t.unknown(),
  bodyIsBytes: true,
  bodyBytesMax: 4 * 1024 * 1024,
  response: t.unknown(),
})
