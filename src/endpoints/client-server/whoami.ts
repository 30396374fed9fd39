/**
 * Whose access token it is.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3accountwhoami
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `GET /_matrix/client/v3/account/whoami` */
export const getTokenOwner = endpoint({
  operationId: 'getTokenOwner',
  method: 'GET',
  path: '/_matrix/client/v3/account/whoami',
  auth: 'user',
  guests: true,
  response: t.object({
    user_id: t.userId,
    device_id: t.optional(t.string()),
    is_guest: t.optional(t.boolean()),
  }),
})
