/**
 * The keys of a policy server, for those who want it in their room.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#policy-servers
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `GET /.well-known/matrix/policy_server` */
export const getWellknownPolicy = endpoint({
  operationId: 'getWellknownPolicy',
  method: 'GET',
  path: '/.well-known/matrix/policy_server',
  auth: 'none',
  response: t.object({ public_keys: t.object({ ed25519: t.string() }) }),
})
