/**
 * Tokens that allow to register.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#token-authenticated-registration
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `GET /_matrix/client/v1/register/m.login.registration_token/validity` */
export const registrationTokenValidity = endpoint({
  operationId: 'registrationTokenValidity',
  method: 'GET',
  path: '/_matrix/client/v1/register/m.login.registration_token/validity',
  auth: 'none',
  query: { token: t.string() },
  response: t.object({ valid: t.boolean() }),
})
