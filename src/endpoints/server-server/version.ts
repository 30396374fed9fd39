/**
 * Which program a server runs.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#server-implementation
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `GET /_matrix/federation/v1/version`: name and version of the implementation. */
export const getVersion = endpoint({
  operationId: 'getVersion',
  method: 'GET',
  path: '/_matrix/federation/v1/version',
  auth: 'none',
  response: t.object({
    server: t.object({ name: t.optional(t.string()), version: t.optional(t.string()) }),
  }),
})
