/**
 * Changing a password.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3accountpassword
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'
import { authData } from './definitions/auth-data.ts'
import { emailRequest, phoneRequest, requestedToken } from './definitions/request-token.ts'

/** `POST /_matrix/client/v3/account/password` */
export const changePassword = endpoint({
  operationId: 'changePassword',
  method: 'POST',
  path: '/_matrix/client/v3/account/password',
  auth: 'optional-user',
  body: t.object({
    auth: t.optional(authData),
    new_password: t.string(),
    logout_devices: t.optional(t.boolean()),
  }),
  response: t.object({}),
})

/** `POST /_matrix/client/v3/account/password/email/requestToken` */
export const requestTokenToResetPasswordEmail = endpoint({
  operationId: 'requestTokenToResetPasswordEmail',
  method: 'POST',
  path: '/_matrix/client/v3/account/password/email/requestToken',
  auth: 'none',
  body: emailRequest,
  response: requestedToken,
})

/** `POST /_matrix/client/v3/account/password/msisdn/requestToken` */
export const requestTokenToResetPasswordMSISDN = endpoint({
  operationId: 'requestTokenToResetPasswordMSISDN',
  method: 'POST',
  path: '/_matrix/client/v3/account/password/msisdn/requestToken',
  auth: 'none',
  body: phoneRequest,
  response: requestedToken,
})
