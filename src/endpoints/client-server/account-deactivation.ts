/**
 * Closing an account.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3accountdeactivate
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'
import { authData } from './definitions/auth-data.ts'

/** `POST /_matrix/client/v3/account/deactivate` */
export const deactivateAccount = endpoint({
  operationId: 'deactivateAccount',
  method: 'POST',
  path: '/_matrix/client/v3/account/deactivate',
  auth: 'optional-user',
  body: t.object({
    auth: t.optional(authData),
    id_server: t.optional(t.serverName),
    erase: t.optional(t.boolean()),
  }),
  response: t.object({ id_server_unbind_result: t.oneOf('success', 'no-support') }),
})
