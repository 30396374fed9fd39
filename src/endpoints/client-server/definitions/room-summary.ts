/**
 * A room as it is seen from outside, and as a room of a space.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#room-summaries
 *
 * @module
 */

import * as t from '#schema/schema.ts'
import { publicRoomFields } from './public-rooms.ts'

/** `definitions/room_summary.yaml`. */
export const roomSummaryFields = {
  ...publicRoomFields,
  allowed_room_ids: t.optional(t.array(t.roomId)),
  encryption: t.optional(t.string()),
  room_version: t.optional(t.string()),
}

/** A stripped `m.space.child` event with an added `origin_server_ts` key. */
export const spaceChild = t.object({
  type: t.literal('m.space.child'),
  state_key: t.roomId,
  sender: t.userId,
  content: t.jsonObject,
  origin_server_ts: t.integer(),
})

export const spaceRoom = t.object({ ...roomSummaryFields, children_state: t.array(spaceChild) })
