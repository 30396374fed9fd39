/**
 * Push rules: what a user is notified of.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#push-rules-api
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `GET /_matrix/client/v3/pushrules/` */
export const getPushRules = endpoint({
  operationId: 'getPushRules',
  method: 'GET',
  path: '/_matrix/client/v3/pushrules/',
  auth: 'user',
  response: t.object({ global: t.jsonObject }),
})

/** `GET /_matrix/client/v3/pushrules/global/` */
export const getPushRulesGlobal = endpoint({
  operationId: 'getPushRulesGlobal',
  method: 'GET',
  path: '/_matrix/client/v3/pushrules/global/',
  auth: 'user',
  response: t.jsonObject,
})
