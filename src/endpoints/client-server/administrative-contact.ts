/**
 * The addresses of users: e-mail, telephone.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#adding-account-administrative-contact-information
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'
import { authData } from './definitions/auth-data.ts'
import { emailRequest, phoneRequest, requestedToken } from './definitions/request-token.ts'

const secret = t.string({ min: 1, max: 255 })
const validated = t.object({
  client_secret: secret,
  id_server: t.string({ max: 255 }),
  id_access_token: t.string({ max: 1_000 }),
  sid: t.string({ max: 255 }),
})
const address = t.object({
  medium: t.oneOf('email', 'msisdn'),
  address: t.string({ max: 500 }),
  validated_at: t.timestamp,
  added_at: t.timestamp,
})

/** `GET /_matrix/client/v3/account/3pid` */
export const getAccount3PIDs = endpoint({
  operationId: 'getAccount3PIDs',
  method: 'GET',
  path: '/_matrix/client/v3/account/3pid',
  auth: 'user',
  response: t.object({ threepids: t.optional(t.array(address)) }),
})

/** `POST /_matrix/client/v3/account/3pid`: what came before the two below. */
export const post3PIDs = endpoint({
  operationId: 'post3PIDs',
  method: 'POST',
  path: '/_matrix/client/v3/account/3pid',
  auth: 'user',
  body: t.object({ three_pid_creds: validated }),
  response: t.object({ submit_url: t.optional(t.string()) }),
})

/** `POST /_matrix/client/v3/account/3pid/add` */
export const add3PID = endpoint({
  operationId: 'add3PID',
  method: 'POST',
  path: '/_matrix/client/v3/account/3pid/add',
  auth: 'user',
  body: t.object({
    auth: t.optional(authData),
    client_secret: secret,
    sid: t.string({ max: 255 }),
  }),
  response: t.object({}),
})

/** `POST /_matrix/client/v3/account/3pid/bind` */
export const bind3PID = endpoint({
  operationId: 'bind3PID',
  method: 'POST',
  path: '/_matrix/client/v3/account/3pid/bind',
  auth: 'user',
  body: t.object({
    client_secret: secret,
    id_server: t.serverName,
    id_access_token: t.string({ max: 1_000 }),
    sid: t.string({ max: 255 }),
  }),
  response: t.object({}),
})

/** `POST /_matrix/client/v3/account/3pid/unbind` */
export const unbind3pidFromAccount = endpoint({
  operationId: 'unbind3pidFromAccount',
  method: 'POST',
  path: '/_matrix/client/v3/account/3pid/unbind',
  auth: 'user',
  body: t.object({
    id_server: t.optional(t.serverName),
    medium: t.oneOf('email', 'msisdn'),
    address: t.string({ max: 500 }),
  }),
  response: t.object({ id_server_unbind_result: t.oneOf('no-support', 'success') }),
})

/** `POST /_matrix/client/v3/account/3pid/delete` */
export const delete3pidFromAccount = endpoint({
  operationId: 'delete3pidFromAccount',
  method: 'POST',
  path: '/_matrix/client/v3/account/3pid/delete',
  auth: 'user',
  body: t.object({
    id_server: t.optional(t.serverName),
    medium: t.oneOf('email', 'msisdn'),
    address: t.string({ max: 500 }),
  }),
  response: t.object({ id_server_unbind_result: t.oneOf('no-support', 'success') }),
})

/** `POST /_matrix/client/v3/account/3pid/email/requestToken` */
export const requestTokenTo3PIDEmail = endpoint({
  operationId: 'requestTokenTo3PIDEmail',
  method: 'POST',
  path: '/_matrix/client/v3/account/3pid/email/requestToken',
  auth: 'none',
  body: emailRequest,
  response: requestedToken,
})

/** `POST /_matrix/client/v3/account/3pid/msisdn/requestToken` */
export const requestTokenTo3PIDMSISDN = endpoint({
  operationId: 'requestTokenTo3PIDMSISDN',
  method: 'POST',
  path: '/_matrix/client/v3/account/3pid/msisdn/requestToken',
  auth: 'none',
  body: phoneRequest,
  response: requestedToken,
})
