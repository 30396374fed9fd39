/**
 * One level of a space, as another server sees it.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#spaces
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'
import { spaceRoom } from '../client-server/definitions/room-summary.ts'

/** `GET /_matrix/federation/v1/hierarchy/{roomId}`: a space and its children. */
export const getSpaceHierarchy = endpoint({
  operationId: 'getSpaceHierarchy',
  method: 'GET',
  path: '/_matrix/federation/v1/hierarchy/{roomId}',
  auth: 'server',
  params: { roomId: t.roomId },
  query: { suggested_only: t.optional(t.boolean()) },
  response: t.object({
    room: spaceRoom,
    children: t.array(spaceRoom),
    inaccessible_children: t.array(t.roomId),
  }),
})
