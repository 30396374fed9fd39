/**
 * Making accounts.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#account-registration-and-management
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'
import { authData } from './definitions/auth-data.ts'
import { emailRequest, phoneRequest, requestedToken } from './definitions/request-token.ts'

/** `POST /_matrix/client/v3/register` */
export const register = endpoint({
  operationId: 'register',
  method: 'POST',
  path: '/_matrix/client/v3/register',
  auth: 'none',
  query: { kind: t.optional(t.oneOf('guest', 'user')) },
  body: t.object({
    auth: t.optional(authData),
    username: t.optional(t.string()),
    password: t.optional(t.string()),
    device_id: t.optional(t.string()),
    initial_device_display_name: t.optional(t.string()),
    inhibit_login: t.optional(t.boolean()),
    refresh_token: t.optional(t.boolean()),
  }),
  response: t.object({
    user_id: t.userId,
    access_token: t.optional(t.string()),
    refresh_token: t.optional(t.string()),
    expires_in_ms: t.optional(t.integer()),
    home_server: t.optional(t.serverName),
    device_id: t.optional(t.string()),
  }),
})

/** `GET /_matrix/client/v3/register/available` */
export const checkUsernameAvailability = endpoint({
  operationId: 'checkUsernameAvailability',
  method: 'GET',
  path: '/_matrix/client/v3/register/available',
  auth: 'none',
  query: { username: t.string() },
  response: t.object({ available: t.optional(t.boolean()) }),
})

/** `POST /_matrix/client/v3/register/email/requestToken` */
export const requestTokenToRegisterEmail = endpoint({
  operationId: 'requestTokenToRegisterEmail',
  method: 'POST',
  path: '/_matrix/client/v3/register/email/requestToken',
  auth: 'none',
  body: emailRequest,
  response: requestedToken,
})

/** `POST /_matrix/client/v3/register/msisdn/requestToken` */
export const requestTokenToRegisterMSISDN = endpoint({
  operationId: 'requestTokenToRegisterMSISDN',
  method: 'POST',
  path: '/_matrix/client/v3/register/msisdn/requestToken',
  auth: 'none',
  body: phoneRequest,
  response: requestedToken,
})
