/**
 * Who is online.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#presence
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

const word = t.oneOf('online', 'offline', 'unavailable')

/** `PUT /_matrix/client/v3/presence/{userId}/status` */
export const setPresence = endpoint({
  operationId: 'setPresence',
  method: 'PUT',
  path: '/_matrix/client/v3/presence/{userId}/status',
  auth: 'user',
  notIfSuspended: true,
  params: { userId: t.userId },
  body: t.object({
    presence: word,
    status_msg: t.optional(t.union(t.string({ max: 1_000 }), t.nothing())),
  }),
  response: t.object({}),
})

/** `GET /_matrix/client/v3/presence/{userId}/status` */
export const getPresence = endpoint({
  operationId: 'getPresence',
  method: 'GET',
  path: '/_matrix/client/v3/presence/{userId}/status',
  auth: 'user',
  params: { userId: t.userId },
  response: t.object({
    presence: word,
    last_active_ago: t.optional(t.integer()),
    status_msg: t.optional(t.string()),
    currently_active: t.optional(t.boolean()),
  }),
})
