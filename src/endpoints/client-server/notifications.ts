/**
 * What a user was notified of.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#listing-notifications
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `GET /_matrix/client/v3/notifications` */
export const getNotifications = endpoint({
  operationId: 'getNotifications',
  method: 'GET',
  path: '/_matrix/client/v3/notifications',
  auth: 'user',
  query: {
    from: t.optional(t.string({ max: 100 })),
    limit: t.optional(t.integer({ min: 0 })),
    only: t.optional(t.string({ max: 100 })),
  },
  response: t.object({
    next_token: t.optional(t.string()),
    notifications: t.array(
      t.object({
        actions: t.array(t.union(t.string(), t.jsonObject)),
        event: t.jsonObject,
        profile_tag: t.optional(t.string()),
        read: t.boolean(),
        room_id: t.roomId,
        ts: t.timestamp,
      }),
    ),
  }),
})
