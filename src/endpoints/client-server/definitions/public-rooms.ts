/**
 * Lists of published rooms, as both APIs ask for and give them.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#published-room-directory
 *
 * @module
 */

import * as t from '#schema/schema.ts'

/** What a room looks like from outside: `definitions/public_rooms_chunk.yaml`. */
export const publicRoomFields = {
  room_id: t.roomId,
  num_joined_members: t.integer({ min: 0 }),
  world_readable: t.boolean(),
  guest_can_join: t.boolean(),
  canonical_alias: t.optional(t.roomAlias),
  name: t.optional(t.string()),
  topic: t.optional(t.string()),
  avatar_url: t.optional(t.mxcUri),
  join_rule: t.optional(t.string()),
  room_type: t.optional(t.string()),
}

export const publicRoomsResponse = t.object({
  chunk: t.array(t.object(publicRoomFields)),
  next_batch: t.optional(t.string()),
  prev_batch: t.optional(t.string()),
  total_room_count_estimate: t.optional(t.integer()),
})

/** The body of a query. */
export const publicRoomsQuery = t.object({
  limit: t.optional(t.integer({ min: 0 })),
  since: t.optional(t.string({ max: 1_000 })),
  filter: t.optional(
    t.object({
      generic_search_term: t.optional(t.string({ max: 1_000 })),
      room_types: t.optional(t.array(t.union(t.string(), t.nothing()), { max: 100 })),
    }),
  ),
  include_all_networks: t.optional(t.boolean()),
  third_party_instance_id: t.optional(t.string({ max: 1_000 })),
})
