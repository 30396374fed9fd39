/**
 * The published room directory.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#published-room-directory
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'
import { publicRoomsQuery, publicRoomsResponse } from './definitions/public-rooms.ts'

const visibility = t.oneOf('private', 'public')

/** `GET /_matrix/client/v3/directory/list/room/{roomId}` */
export const getRoomVisibilityOnDirectory = endpoint({
  operationId: 'getRoomVisibilityOnDirectory',
  method: 'GET',
  path: '/_matrix/client/v3/directory/list/room/{roomId}',
  auth: 'none',
  params: { roomId: t.roomId },
  response: t.object({ visibility }),
})

/** `PUT /_matrix/client/v3/directory/list/room/{roomId}` */
export const setRoomVisibilityOnDirectory = endpoint({
  operationId: 'setRoomVisibilityOnDirectory',
  method: 'PUT',
  path: '/_matrix/client/v3/directory/list/room/{roomId}',
  auth: 'user',
  notIfSuspended: true,
  params: { roomId: t.roomId },
  body: t.object({ visibility: t.optional(visibility) }),
  response: t.object({}),
})

/** `GET /_matrix/client/v3/publicRooms` */
export const getPublicRooms = endpoint({
  operationId: 'getPublicRooms',
  method: 'GET',
  path: '/_matrix/client/v3/publicRooms',
  auth: 'optional-user',
  guests: true,
  query: {
    limit: t.optional(t.integer({ min: 0 })),
    since: t.optional(t.string({ max: 1_000 })),
    server: t.optional(t.serverName),
  },
  response: publicRoomsResponse,
})

/** `POST /_matrix/client/v3/publicRooms` */
export const queryPublicRooms = endpoint({
  operationId: 'queryPublicRooms',
  method: 'POST',
  path: '/_matrix/client/v3/publicRooms',
  auth: 'user',
  guests: true,
  query: { server: t.optional(t.serverName) },
  body: publicRoomsQuery,
  response: publicRoomsResponse,
})
