/**
 * Policy servers: those that are asked whether an event is welcome in a room.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#policy-servers
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/**
 * `POST /_matrix/policy/v1/sign`: a PDU, for the signature of the policy server, by server name and key
 * ID.
 */
export const askPolicyServerToSign = endpoint({
  operationId: 'askPolicyServerToSign',
  method: 'POST',
  path: '/_matrix/policy/v1/sign',
  auth: 'server',
  body: t.unknown(),
  bodyIsBytes: true,
  bodyBytesMax: 1024 * 1024,
  response: t.record(t.record(t.string())),
})
