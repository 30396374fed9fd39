/**
 * Servers that help clients to call each other.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#voice-over-ip
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `GET /_matrix/client/v3/voip/turnServer` */
export const getTurnServer = endpoint({
  operationId: 'getTurnServer',
  method: 'GET',
  path: '/_matrix/client/v3/voip/turnServer',
  auth: 'user',
  response: t.object({
    username: t.string(),
    password: t.string(),
    uris: t.array(t.string()),
    ttl: t.integer(),
  }),
})
