/**
 * Letting another client log in as the same user.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#token-based-user-login
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'
import { authData } from './definitions/auth-data.ts'

/** `POST /_matrix/client/v1/login/get_token` */
export const generateLoginToken = endpoint({
  operationId: 'generateLoginToken',
  method: 'POST',
  path: '/_matrix/client/v1/login/get_token',
  auth: 'user',
  body: t.object({ auth: t.optional(authData) }),
  response: t.object({ login_token: t.string(), expires_in_ms: t.integer() }),
})
