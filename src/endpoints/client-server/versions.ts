/**
 * Which versions of the specification this server knows.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#api-versions
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `GET /_matrix/client/versions` */
export const getVersions = endpoint({
  operationId: 'getVersions',
  method: 'GET',
  path: '/_matrix/client/versions',
  auth: 'optional-user',
  guests: true,
  response: t.object({
    versions: t.array(t.string()),
    unstable_features: t.optional(t.record(t.boolean())),
  }),
})
