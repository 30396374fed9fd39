/**
 * Telling a push gateway of an event, or of how much is unread.
 *
 * https://spec.matrix.org/v1.19/push-gateway-api/
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

const device = t.object({
  app_id: t.string(),
  pushkey: t.string(),
  // In seconds.
  pushkey_ts: t.optional(t.integer()),
  data: t.optional(t.jsonObject),
  tweaks: t.optional(t.jsonObject),
})

/** `POST /_matrix/push/v1/notify` */
export const notify = endpoint({
  operationId: 'notify',
  method: 'POST',
  path: '/_matrix/push/v1/notify',
  auth: 'none',
  body: t.object({
    notification: t.object({
      event_id: t.optional(t.eventId),
      room_id: t.optional(t.roomId),
      type: t.optional(t.string()),
      sender: t.optional(t.userId),
      sender_display_name: t.optional(t.string()),
      room_name: t.optional(t.string()),
      room_alias: t.optional(t.string()),
      user_is_target: t.optional(t.boolean()),
      prio: t.optional(t.oneOf('high', 'low')),
      content: t.optional(t.jsonObject),
      counts: t.optional(
        t.object({
          unread: t.optional(t.integer()),
          missed_calls: t.optional(t.integer()),
        }),
      ),
      devices: t.array(device),
    }),
  }),
  response: t.object({ rejected: t.array(t.string()) }),
})
