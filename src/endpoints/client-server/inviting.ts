/**
 * Inviting users.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#joining-rooms
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/**
 * `POST /_matrix/client/v3/rooms/{roomId}/invite`: of a user, or of an address such as an e-mail's, in
 * which case the body has all of the last four fields instead of the first.
 */
export const inviteUser = endpoint({
  operationId: 'inviteUser',
  method: 'POST',
  path: '/_matrix/client/v3/rooms/{roomId}/invite',
  auth: 'user',
  notIfSuspended: true,
  params: { roomId: t.roomId },
  body: t.object({
    user_id: t.optional(t.userId),
    reason: t.optional(t.string()),
    id_server: t.optional(t.serverName),
    id_access_token: t.optional(t.string({ max: 4_000 })),
    medium: t.optional(t.string({ max: 255 })),
    address: t.optional(t.string({ max: 255 })),
  }),
  response: t.object({}),
})
