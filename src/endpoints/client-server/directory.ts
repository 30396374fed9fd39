/**
 * Room aliases.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#room-aliases
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `PUT /_matrix/client/v3/directory/room/{roomAlias}` */
export const setRoomAlias = endpoint({
  operationId: 'setRoomAlias',
  method: 'PUT',
  path: '/_matrix/client/v3/directory/room/{roomAlias}',
  auth: 'user',
  notIfSuspended: true,
  params: { roomAlias: t.roomAlias },
  body: t.object({ room_id: t.roomId }),
  response: t.object({}),
})

/** `GET /_matrix/client/v3/directory/room/{roomAlias}` */
export const getRoomIdByAlias = endpoint({
  operationId: 'getRoomIdByAlias',
  method: 'GET',
  path: '/_matrix/client/v3/directory/room/{roomAlias}',
  auth: 'none',
  params: { roomAlias: t.roomAlias },
  response: t.object({ room_id: t.roomId, servers: t.array(t.serverName) }),
})

/** `DELETE /_matrix/client/v3/directory/room/{roomAlias}` */
export const deleteRoomAlias = endpoint({
  operationId: 'deleteRoomAlias',
  method: 'DELETE',
  path: '/_matrix/client/v3/directory/room/{roomAlias}',
  auth: 'user',
  notIfSuspended: true,
  params: { roomAlias: t.roomAlias },
  response: t.object({}),
})

/** `GET /_matrix/client/v3/rooms/{roomId}/aliases` */
export const getLocalAliases = endpoint({
  operationId: 'getLocalAliases',
  method: 'GET',
  path: '/_matrix/client/v3/rooms/{roomId}/aliases',
  auth: 'user',
  params: { roomId: t.roomId },
  response: t.object({ aliases: t.array(t.roomAlias, { max: 100_000 }) }),
})
