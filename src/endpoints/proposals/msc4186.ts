/**
 * Simplified sliding sync, by which Element X and others live, before it is part of the specification.
 *
 * https://github.com/matrix-org/matrix-spec-proposals/pull/4186
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

const wantedOfRoom = {
  timeline_limit: t.integer({ min: 0 }),
  /** Pairs of a type and a state key. */
  required_state: t.array(t.array(t.string({ max: 255 }), { min: 2, max: 2 }), { max: 500 }),
}

const filters = t.object({
  is_dm: t.optional(t.boolean()),
  is_encrypted: t.optional(t.boolean()),
  is_invite: t.optional(t.boolean()),
  is_invited: t.optional(t.boolean()),
  /** Texts, and `null` for rooms without a type. */
  room_types: t.optional(t.array(t.json, { max: 100 })),
  not_room_types: t.optional(t.array(t.json, { max: 100 })),
  tags: t.optional(t.array(t.string({ max: 255 }), { max: 100 })),
  not_tags: t.optional(t.array(t.string({ max: 255 }), { max: 100 })),
  spaces: t.optional(t.array(t.string({ max: 255 }), { max: 100 })),
})

const range = t.array(t.integer({ min: 0 }), { min: 2, max: 2 })

const list = t.object({
  ...wantedOfRoom,
  ranges: t.optional(t.array(range, { max: 100 })),
  filters: t.optional(filters),
})

const roomExtension = t.object({
  enabled: t.optional(t.boolean()),
  lists: t.optional(t.array(t.string({ max: 255 }), { max: 100 })),
  rooms: t.optional(t.array(t.string({ max: 255 }))),
})

/** `POST /_matrix/client/unstable/org.matrix.simplified_msc3575/sync` */
export const slidingSync = endpoint({
  operationId: 'slidingSync',
  method: 'POST',
  path: '/_matrix/client/unstable/org.matrix.simplified_msc3575/sync',
  auth: 'user',
  guests: true,
  query: {
    pos: t.optional(t.string({ max: 255 })),
    timeout: t.optional(t.integer({ min: 0 })),
    set_presence: t.optional(t.oneOf('offline', 'online', 'unavailable')),
  },
  body: t.object({
    conn_id: t.optional(t.string({ max: 255 })),
    txn_id: t.optional(t.string({ max: 255 })),
    lists: t.optional(t.record(list)),
    room_subscriptions: t.optional(t.record(t.object(wantedOfRoom))),
    extensions: t.optional(
      t.object({
        to_device: t.optional(
          t.object({
            enabled: t.optional(t.boolean()),
            since: t.optional(t.string({ max: 255 })),
          }),
        ),
        e2ee: t.optional(t.object({ enabled: t.optional(t.boolean()) })),
        account_data: t.optional(roomExtension),
        receipts: t.optional(roomExtension),
        typing: t.optional(roomExtension),
        'org.matrix.msc4354.sticky_events': t.optional(
          t.object({
            enabled: t.optional(t.boolean()),
            limit: t.optional(t.integer({ min: 1 })),
            since: t.optional(t.string({ max: 255 })),
          }),
        ),
        'org.matrix.msc4262.profiles': t.optional(
          t.object({
            enabled: t.optional(t.boolean()),
            lists: t.optional(t.array(t.string({ max: 255 }), { max: 100 })),
            rooms: t.optional(t.array(t.string({ max: 255 }))),
            fields: t.optional(t.array(t.string({ max: 255 }), { max: 100 })),
          }),
        ),
        'io.element.msc4308.thread_subscriptions': t.optional(
          t.object({
            enabled: t.optional(t.boolean()),
            limit: t.optional(t.integer({ min: 1 })),
          }),
        ),
      }),
    ),
  }),
  // Room IDs are long, and a client may subscribe to many.
  bodyBytesMax: 262_144,
  response: t.object({
    pos: t.string(),
    txn_id: t.optional(t.string()),
    lists: t.record(t.object({ count: t.integer() })),
    rooms: t.record(t.jsonObject),
    extensions: t.unknown(),
  }),
})
