/**
 * Pushers: where a user is to be told of notifications.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3pushers
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

const data = t.object({ url: t.optional(t.string()), format: t.optional(t.string()) })

/** `GET /_matrix/client/v3/pushers` */
export const getPushers = endpoint({
  operationId: 'getPushers',
  method: 'GET',
  path: '/_matrix/client/v3/pushers',
  auth: 'user',
  response: t.object({
    pushers: t.array(
      t.object({
        pushkey: t.string(),
        kind: t.string(),
        app_id: t.string(),
        app_display_name: t.string(),
        device_display_name: t.string(),
        profile_tag: t.optional(t.string()),
        lang: t.string(),
        data,
        'org.matrix.msc3881.enabled': t.boolean(),
        'org.matrix.msc3881.device_id': t.string(),
      }),
    ),
  }),
})

/** `POST /_matrix/client/v3/pushers/set` */
export const postPusher = endpoint({
  operationId: 'postPusher',
  method: 'POST',
  path: '/_matrix/client/v3/pushers/set',
  auth: 'user',
  body: t.object({
    pushkey: t.string({ min: 1, max: 512 }),
    kind: t.union(t.string({ max: 100 }), t.nothing()),
    app_id: t.string({ min: 1, max: 64 }),
    app_display_name: t.optional(t.string({ max: 255 })),
    device_display_name: t.optional(t.string({ max: 255 })),
    profile_tag: t.optional(t.string({ max: 255 })),
    lang: t.optional(t.string({ max: 100 })),
    data: t.optional(t.jsonObject),
    append: t.optional(t.boolean()),
    'org.matrix.msc3881.enabled': t.optional(t.boolean()),
    'org.matrix.msc3881.device_id': t.optional(t.string({ max: 512 })),
  }),
  response: t.object({}),
})
