/**
 * A server's own keys.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#publishing-keys
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `GET /_matrix/key/v2/server`: the keys this server signs with, signed with them. */
export const getServerKey = endpoint({
  operationId: 'getServerKey',
  method: 'GET',
  path: '/_matrix/key/v2/server',
  auth: 'none',
  response: t.jsonObject,
})
