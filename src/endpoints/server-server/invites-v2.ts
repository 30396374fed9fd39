/**
 * Inviting a user of another server, version 2.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#inviting-to-a-room
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/**
 * `PUT /_matrix/federation/v2/invite/{roomId}/{eventId}`: an object with the invite `event`, its
 * `room_version` and the `invite_room_state`. The answer has the event signed by both servers.
 */
export const sendInviteV2 = endpoint({
  operationId: 'sendInviteV2',
  method: 'PUT',
  path: '/_matrix/federation/v2/invite/{roomId}/{eventId}',
  auth: 'server',
  params: { roomId: t.roomId, eventId: t.eventId },
  body: t.unknown(),
  bodyIsBytes: true,
  bodyBytesMax: 4 * 1024 * 1024,
  response: t.object({ event: t.unknown() }),
})
