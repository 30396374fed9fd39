/**
 * The tree of a space.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1roomsroomidhierarchy
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'
import { spaceRoom } from './definitions/room-summary.ts'

/** `GET /_matrix/client/v1/rooms/{roomId}/hierarchy`: a page of the tree, depth first. */
export const getSpaceHierarchy = endpoint({
  operationId: 'getSpaceHierarchy',
  method: 'GET',
  path: '/_matrix/client/v1/rooms/{roomId}/hierarchy',
  auth: 'user',
  params: { roomId: t.roomId },
  query: {
    suggested_only: t.optional(t.boolean()),
    // Must be an integer greater than zero.
    limit: t.optional(t.integer({ min: 1 })),
    // Must be a non-negative integer.
    max_depth: t.optional(t.integer({ min: 0 })),
    from: t.optional(t.string({ max: 1_000 })),
  },
  response: t.object({ rooms: t.array(spaceRoom), next_batch: t.optional(t.string()) }),
})
