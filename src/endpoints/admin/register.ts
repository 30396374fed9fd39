/**
 * Making accounts with a shared secret, by the protocol that Synapse has for it.
 *
 * https://element-hq.github.io/synapse/latest/admin_api/register_api.html
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `GET /_synapse/admin/v1/register`: a nonce. */
export const getRegisterNonce = endpoint({
  operationId: 'getRegisterNonce',
  method: 'GET',
  path: '/_synapse/admin/v1/register',
  auth: 'none',
  response: t.object({ nonce: t.string() }),
})

/** `POST /_synapse/admin/v1/register` */
export const registerWithSecret = endpoint({
  operationId: 'registerWithSecret',
  method: 'POST',
  path: '/_synapse/admin/v1/register',
  auth: 'none',
  body: t.object({
    nonce: t.string(),
    username: t.string(),
    password: t.string(),
    mac: t.string(),
    displayname: t.optional(t.string()),
    admin: t.optional(t.boolean()),
    user_type: t.optional(t.string()),
    inhibit_login: t.optional(t.boolean()),
  }),
  response: t.object({
    user_id: t.userId,
    home_server: t.serverName,
    access_token: t.optional(t.string()),
    device_id: t.optional(t.string()),
  }),
})

/** `GET /_hansa/admin/v1/register`: the same under our own name. */
export const getHansaRegisterNonce = endpoint({
  ...getRegisterNonce,
  operationId: 'getHansaRegisterNonce',
  path: '/_hansa/admin/v1/register',
})

/** `POST /_hansa/admin/v1/register`: the same under our own name. */
export const hansaRegisterWithSecret = endpoint({
  ...registerWithSecret,
  operationId: 'hansaRegisterWithSecret',
  path: '/_hansa/admin/v1/register',
})
