/**
 * Showing somebody else who one is.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#openid
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `POST /_matrix/client/v3/user/{userId}/openid/request_token` */
export const requestOpenIdToken = endpoint({
  operationId: 'requestOpenIdToken',
  method: 'POST',
  path: '/_matrix/client/v3/user/{userId}/openid/request_token',
  auth: 'user',
  params: { userId: t.userId },
  body: t.object({}),
  response: t.object({
    access_token: t.string(),
    token_type: t.literal('Bearer'),
    matrix_server_name: t.serverName,
    expires_in: t.integer(),
  }),
})
