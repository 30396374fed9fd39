/**
 * A room as it is seen from outside.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#room-summaries
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'
import { roomSummaryFields } from './definitions/room-summary.ts'

/** `GET /_matrix/client/v1/room_summary/{roomIdOrAlias}` */
export const getRoomSummary = endpoint({
  operationId: 'getRoomSummary',
  method: 'GET',
  path: '/_matrix/client/v1/room_summary/{roomIdOrAlias}',
  auth: 'optional-user',
  guests: true,
  params: { roomIdOrAlias: t.union(t.roomId, t.roomAlias) },
  query: { via: t.optional(t.array(t.serverName, { max: 50 })) },
  response: t.object({
    ...roomSummaryFields,
    membership: t.optional(t.oneOf('invite', 'join', 'knock', 'leave', 'ban')),
  }),
})
