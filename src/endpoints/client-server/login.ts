/**
 * Logging in.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#login
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `GET /_matrix/client/v3/login` */
export const getLoginFlows = endpoint({
  operationId: 'getLoginFlows',
  method: 'GET',
  path: '/_matrix/client/v3/login',
  auth: 'none',
  response: t.object({
    flows: t.optional(
      t.array(t.object({ type: t.string(), get_login_token: t.optional(t.boolean()) })),
    ),
  }),
})

/** `POST /_matrix/client/v3/login` */
export const login = endpoint({
  operationId: 'login',
  method: 'POST',
  path: '/_matrix/client/v3/login',
  auth: 'none',
  body: t.object({
    type: t.string(),
    identifier: t.optional(t.jsonObject),
    user: t.optional(t.string()),
    medium: t.optional(t.string()),
    address: t.optional(t.string()),
    password: t.optional(t.string()),
    token: t.optional(t.string()),
    device_id: t.optional(t.string()),
    initial_device_display_name: t.optional(t.string()),
    refresh_token: t.optional(t.boolean()),
  }),
  response: t.object({
    user_id: t.userId,
    access_token: t.string(),
    device_id: t.string(),
    refresh_token: t.optional(t.string()),
    expires_in_ms: t.optional(t.integer()),
    home_server: t.optional(t.serverName),
    well_known: t.optional(t.jsonObject),
  }),
})
