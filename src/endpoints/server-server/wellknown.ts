/**
 * To whom a host delegates its federation.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#resolving-server-names
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `GET /.well-known/matrix/server`: the delegated server name. */
export const getWellKnown = endpoint({
  operationId: 'getWellKnown',
  method: 'GET',
  path: '/.well-known/matrix/server',
  auth: 'none',
  response: t.object({ 'm.server': t.string() }),
})
