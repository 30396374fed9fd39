/**
 * Searching in rooms.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#server-side-search
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import { searchFields } from '#protocol/search-terms.ts'
import * as t from '#schema/schema.ts'

const roomEvents = t.object({
  search_term: t.string({ max: 1_000 }),
  keys: t.optional(t.array(t.oneOf(...searchFields))),
  filter: t.optional(t.jsonObject),
  order_by: t.optional(t.oneOf('recent', 'rank')),
  event_context: t.optional(
    t.object({
      before_limit: t.optional(t.integer({ min: 0 })),
      after_limit: t.optional(t.integer({ min: 0 })),
      include_profile: t.optional(t.boolean()),
    }),
  ),
  include_state: t.optional(t.boolean()),
  groupings: t.optional(
    t.object({
      group_by: t.optional(
        t.array(t.object({ key: t.optional(t.oneOf('room_id', 'sender')) }), { max: 10 }),
      ),
    }),
  ),
})

const results = t.object({
  count: t.optional(t.integer()),
  highlights: t.optional(t.array(t.string())),
  results: t.optional(t.array(t.jsonObject)),
  state: t.optional(t.record(t.array(t.jsonObject, { max: 1_000_000 }))),
  groups: t.optional(t.jsonObject),
  next_batch: t.optional(t.string()),
})

/** `POST /_matrix/client/v3/search` */
export const search = endpoint({
  operationId: 'search',
  method: 'POST',
  path: '/_matrix/client/v3/search',
  auth: 'user',
  query: { next_batch: t.optional(t.string({ max: 100 })) },
  body: t.object({ search_categories: t.object({ room_events: t.optional(roomEvents) }) }),
  response: t.object({ search_categories: t.object({ room_events: t.optional(results) }) }),
})
