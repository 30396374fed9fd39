/**
 * Joining a room through a server that is in it, version 2.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#joining-rooms
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `PUT /_matrix/federation/v2/send_join/{roomId}/{eventId}`: the join event, signed. */
export const sendJoinV2 = endpoint({
  operationId: 'sendJoinV2',
  method: 'PUT',
  path: '/_matrix/federation/v2/send_join/{roomId}/{eventId}',
  auth: 'server',
  params: { roomId: t.roomId, eventId: t.eventId },
  query: { omit_members: t.optional(t.boolean()) },
  body: t.unknown(),
  bodyIsBytes: true,
  bodyBytesMax: 1024 * 1024,
  response: t.object({
    auth_chain: t.array(t.unknown(), { max: 2_000_000 }),
    state: t.array(t.unknown(), { max: 2_000_000 }),
    event: t.optional(t.unknown()),
    members_omitted: t.optional(t.boolean()),
    servers_in_room: t.optional(t.array(t.string(), { max: 1_000_000 })),
  }),
})
