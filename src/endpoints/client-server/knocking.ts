/**
 * Knocking on rooms.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#knocking-on-rooms
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `POST /_matrix/client/v3/knock/{roomIdOrAlias}` */
export const knockRoom = endpoint({
  operationId: 'knockRoom',
  method: 'POST',
  path: '/_matrix/client/v3/knock/{roomIdOrAlias}',
  auth: 'user',
  notIfSuspended: true,
  params: { roomIdOrAlias: t.union(t.roomId, t.roomAlias) },
  query: {
    via: t.optional(t.array(t.serverName, { max: 50 })),
    // What `via` was called before.
    server_name: t.optional(t.array(t.serverName, { max: 50 })),
  },
  body: t.object({ reason: t.optional(t.string()) }),
  response: t.object({ room_id: t.roomId }),
})
