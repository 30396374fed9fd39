/**
 * Who the user is that showed a token.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#openid
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `GET /_matrix/federation/v1/openid/userinfo`: asked by services, which sign nothing. */
export const exchangeOpenIdToken = endpoint({
  operationId: 'exchangeOpenIdToken',
  method: 'GET',
  path: '/_matrix/federation/v1/openid/userinfo',
  auth: 'none',
  query: { access_token: t.string({ max: 1_000 }) },
  response: t.object({ sub: t.userId }),
})
