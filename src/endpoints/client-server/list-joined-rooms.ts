/**
 * The rooms a user is in.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#room-membership
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `GET /_matrix/client/v3/joined_rooms` */
export const getJoinedRooms = endpoint({
  operationId: 'getJoinedRooms',
  method: 'GET',
  path: '/_matrix/client/v3/joined_rooms',
  auth: 'user',
  guests: true,
  response: t.object({ joined_rooms: t.array(t.roomId, { max: 1_000_000 }) }),
})
