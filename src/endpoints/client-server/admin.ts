/**
 * What administrators do with accounts.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#server-administration
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

const connection = t.object({
  ip: t.optional(t.string()),
  last_seen: t.optional(t.timestamp),
  user_agent: t.optional(t.string()),
})
const device = t.object({
  sessions: t.optional(t.array(t.object({ connections: t.optional(t.array(connection)) }))),
})
const params = { userId: t.userId }
const suspended = t.object({ suspended: t.boolean() })
const locked = t.object({ locked: t.boolean() })

/** `GET /_matrix/client/v3/admin/whois/{userId}` */
export const getWhoIs = endpoint({
  operationId: 'getWhoIs',
  method: 'GET',
  path: '/_matrix/client/v3/admin/whois/{userId}',
  auth: 'user',
  params,
  response: t.object({
    user_id: t.optional(t.userId),
    devices: t.optional(t.record(device)),
  }),
})

/** `GET /_matrix/client/v1/admin/suspend/{userId}` */
export const getAdminSuspendUser = endpoint({
  operationId: 'getAdminSuspendUser',
  method: 'GET',
  path: '/_matrix/client/v1/admin/suspend/{userId}',
  auth: 'user',
  params,
  response: suspended,
})

/** `PUT /_matrix/client/v1/admin/suspend/{userId}` */
export const setAdminSuspendUser = endpoint({
  operationId: 'setAdminSuspendUser',
  method: 'PUT',
  path: '/_matrix/client/v1/admin/suspend/{userId}',
  auth: 'user',
  params,
  body: suspended,
  response: suspended,
})

/** `GET /_matrix/client/v1/admin/lock/{userId}` */
export const getAdminLockUser = endpoint({
  operationId: 'getAdminLockUser',
  method: 'GET',
  path: '/_matrix/client/v1/admin/lock/{userId}',
  auth: 'user',
  params,
  response: locked,
})

/** `PUT /_matrix/client/v1/admin/lock/{userId}` */
export const setAdminLockUser = endpoint({
  operationId: 'setAdminLockUser',
  method: 'PUT',
  path: '/_matrix/client/v1/admin/lock/{userId}',
  auth: 'user',
  params,
  body: locked,
  response: locked,
})
