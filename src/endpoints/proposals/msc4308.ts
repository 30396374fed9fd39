/**
 * What changed of the threads a user is subscribed to, beyond what sliding sync says.
 *
 * https://github.com/matrix-org/matrix-spec-proposals/pull/4308
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `GET …/thread_subscriptions` */
export const getThreadSubscriptions = endpoint({
  operationId: 'getThreadSubscriptions',
  method: 'GET',
  path: '/_matrix/client/unstable/io.element.msc4308/thread_subscriptions',
  auth: 'user',
  query: {
    dir: t.oneOf('b'),
    from: t.optional(t.string({ max: 255 })),
    to: t.optional(t.string({ max: 255 })),
    limit: t.optional(t.integer({ min: 1 })),
  },
  response: t.object({
    subscribed: t.optional(t.record(t.jsonObject)),
    unsubscribed: t.optional(t.record(t.jsonObject)),
    end: t.optional(t.string()),
  }),
})
