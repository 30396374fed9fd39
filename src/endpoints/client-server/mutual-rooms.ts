/**
 * The rooms that two users share.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#mutual-rooms
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `GET /_matrix/client/v1/mutual_rooms` */
export const getMutualRooms = endpoint({
  operationId: 'getMutualRooms',
  method: 'GET',
  path: '/_matrix/client/v1/mutual_rooms',
  auth: 'user',
  query: { user_id: t.userId, from: t.optional(t.string({ max: 300 })) },
  response: t.object({
    joined: t.array(t.roomId),
    count: t.integer(),
    next_batch: t.optional(t.string()),
  }),
})
