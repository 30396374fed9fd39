/**
 * Single questions between servers: which room an alias means, and who a user is.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#querying-for-information
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `GET /_matrix/federation/v1/query/directory`: the room of an alias, and servers that are in it. */
export const queryRoomDirectory = endpoint({
  operationId: 'queryRoomDirectory',
  method: 'GET',
  path: '/_matrix/federation/v1/query/directory',
  auth: 'server',
  query: { room_alias: t.roomAlias },
  response: t.object({ room_id: t.roomId, servers: t.array(t.string(), { max: 100_000 }) }),
})

/** `GET /_matrix/federation/v1/query/profile`: the profile of a user of the server that is asked. */
export const queryProfile = endpoint({
  operationId: 'queryProfile',
  method: 'GET',
  path: '/_matrix/federation/v1/query/profile',
  auth: 'server',
  query: { user_id: t.userId, field: t.optional(t.string({ max: 255 })) },
  response: t.jsonObject,
})

/** `GET /_matrix/federation/v1/query/{queryType}`: any other question. */
export const queryInfo = endpoint({
  operationId: 'queryInfo',
  method: 'GET',
  path: '/_matrix/federation/v1/query/{queryType}',
  auth: 'server',
  params: { queryType: t.string({ max: 255 }) },
  response: t.jsonObject,
})
