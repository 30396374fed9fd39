/**
 * What this server lets its users do.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#capabilities-negotiation
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `GET /_matrix/client/v3/capabilities` */
export const getCapabilities = endpoint({
  operationId: 'getCapabilities',
  method: 'GET',
  path: '/_matrix/client/v3/capabilities',
  auth: 'user',
  guests: true,
  response: t.object({ capabilities: t.record(t.unknown()) }),
})
