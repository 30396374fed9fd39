/**
 * Making rooms.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#creation
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** A state event of the room to be. */
const stateEvent = t.object({
  type: t.string({ min: 1, max: 255 }),
  state_key: t.optional(t.string({ max: 255 })),
  content: t.jsonObject,
})

/** An invite of somebody who is known by an address only. */
const invite3pid = t.object({
  id_server: t.serverName,
  id_access_token: t.string(),
  medium: t.string(),
  address: t.string(),
})

/** `POST /_matrix/client/v3/createRoom` */
export const createRoom = endpoint({
  operationId: 'createRoom',
  method: 'POST',
  path: '/_matrix/client/v3/createRoom',
  auth: 'user',
  notIfSuspended: true,
  body: t.object({
    visibility: t.optional(t.oneOf('public', 'private')),
    room_alias_name: t.optional(t.string({ max: 255 })),
    name: t.optional(t.string({ max: 16_384 })),
    topic: t.optional(t.string()),
    invite: t.optional(t.array(t.userId, { max: 200 })),
    invite_3pid: t.optional(t.array(invite3pid, { max: 200 })),
    room_version: t.optional(t.string({ max: 255 })),
    creation_content: t.optional(t.jsonObject),
    initial_state: t.optional(t.array(stateEvent, { max: 200 })),
    preset: t.optional(t.oneOf('private_chat', 'public_chat', 'trusted_private_chat')),
    is_direct: t.optional(t.boolean()),
    power_level_content_override: t.optional(t.jsonObject),
  }),
  bodyBytesMax: 1_048_576,
  response: t.object({ room_id: t.roomId }),
})
