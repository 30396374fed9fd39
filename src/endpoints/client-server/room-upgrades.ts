/**
 * Replacing a room by one of another version.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#room-upgrades
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `POST /_matrix/client/v3/rooms/{roomId}/upgrade` */
export const upgradeRoom = endpoint({
  operationId: 'upgradeRoom',
  method: 'POST',
  path: '/_matrix/client/v3/rooms/{roomId}/upgrade',
  auth: 'user',
  notIfSuspended: true,
  params: { roomId: t.roomId },
  body: t.object({
    new_version: t.string({ max: 255 }),
    additional_creators: t.optional(t.array(t.userId, { max: 200 })),
  }),
  response: t.object({ replacement_room: t.roomId }),
})
