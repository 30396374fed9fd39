/**
 * Telling all the world that an address leads to a user.
 *
 * https://spec.matrix.org/v1.19/identity-service-api/#establishing-associations
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `POST /_matrix/identity/v2/3pid/bind` */
export const bindV2 = endpoint({
  operationId: 'bindV2',
  method: 'POST',
  path: '/_matrix/identity/v2/3pid/bind',
  auth: 'user',
  body: t.object({ sid: t.string(), client_secret: t.string(), mxid: t.userId }),
  response: t.object({
    address: t.string({ min: 1, max: 500 }),
    medium: t.string({ min: 1, max: 100 }),
    mxid: t.userId,
  }),
})

/** `POST /_matrix/identity/v2/3pid/unbind`: signed by the user's homeserver, or with a session. */
export const unbindV2 = endpoint({
  operationId: 'unbindV2',
  method: 'POST',
  path: '/_matrix/identity/v2/3pid/unbind',
  auth: 'server',
  body: t.object({
    mxid: t.userId,
    threepid: t.object({ medium: t.string(), address: t.string() }),
  }),
  response: t.object({}),
})
