/**
 * Ending sessions.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3logout
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `POST /_matrix/client/v3/logout` */
export const logout = endpoint({
  operationId: 'logout',
  method: 'POST',
  path: '/_matrix/client/v3/logout',
  auth: 'user',
  guests: true,
  evenIfLocked: true,
  response: t.object({}),
})

/** `POST /_matrix/client/v3/logout/all` */
export const logoutAll = endpoint({
  operationId: 'logout_all',
  method: 'POST',
  path: '/_matrix/client/v3/logout/all',
  auth: 'user',
  guests: true,
  evenIfLocked: true,
  response: t.object({}),
})
