/**
 * What has happened since a client last asked.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#syncing
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `GET /_matrix/client/v3/sync` */
export const sync = endpoint({
  operationId: 'sync',
  method: 'GET',
  path: '/_matrix/client/v3/sync',
  auth: 'user',
  guests: true,
  query: {
    filter: t.optional(t.string()),
    since: t.optional(t.string()),
    full_state: t.optional(t.boolean()),
    set_presence: t.optional(t.oneOf('offline', 'online', 'unavailable')),
    timeout: t.optional(t.integer({ min: 0 })),
    use_state_after: t.optional(t.boolean()),
    // What clients send that knew it before it was in the spec.
    'org.matrix.msc4222.use_state_after': t.optional(t.boolean()),
  },
  response: t.object({
    next_batch: t.string(),
    to_device: t.optional(t.object({ events: t.array(t.unknown()) })),
  }),
})
