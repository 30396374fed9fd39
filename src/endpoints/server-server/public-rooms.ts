/**
 * The published room directory of a server, as other servers see it.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#published-room-directory
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'
import { publicRoomsQuery, publicRoomsResponse } from '../client-server/definitions/public-rooms.ts'

/** `GET /_matrix/federation/v1/publicRooms` */
export const getPublicRooms = endpoint({
  operationId: 'getPublicRooms',
  method: 'GET',
  path: '/_matrix/federation/v1/publicRooms',
  auth: 'server',
  query: {
    limit: t.optional(t.integer({ min: 0 })),
    since: t.optional(t.string({ max: 1_000 })),
    include_all_networks: t.optional(t.boolean()),
    third_party_instance_id: t.optional(t.string({ max: 1_000 })),
  },
  response: publicRoomsResponse,
})

/** `POST /_matrix/federation/v1/publicRooms`: with a filter. */
export const queryPublicRooms = endpoint({
  operationId: 'queryPublicRooms',
  method: 'POST',
  path: '/_matrix/federation/v1/publicRooms',
  auth: 'server',
  body: publicRoomsQuery,
  response: publicRoomsResponse,
})
