/**
 * Removing rooms and old history.
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** The most local users that are told of in an answer. */
const usersMax = 100_000

/** `DELETE /_hansa/admin/v1/rooms/{roomId}`: removes a room from this server, with all that belongs to it. */
export const deleteRoom = endpoint({
  operationId: 'deleteRoom',
  method: 'DELETE',
  path: '/_hansa/admin/v1/rooms/{roomId}',
  auth: 'admin',
  params: { roomId: t.roomId },
  query: {
    /** Makes the users of this server leave first, and decline what invites them. */
    leave: t.optional(t.boolean()),
    /** Also if other servers have yet to be sent events of the room, which they never are then. */
    give_up_undelivered: t.optional(t.boolean()),
  },
  response: t.object({
    /** Those who were made to leave. */
    left: t.array(t.userId, { max: usersMax }),
  }),
})

/**
 * `POST …/rooms/{roomId}/delete_history`: removes what was said before an event, or before a time. State
 * events keep what the auth rules need of them; the newest events stay in any case, and all since this
 * server joined as long as it does not know all members.
 */
export const deleteRoomHistory = endpoint({
  operationId: 'deleteRoomHistory',
  method: 'POST',
  path: '/_hansa/admin/v1/rooms/{roomId}/delete_history',
  auth: 'admin',
  params: { roomId: t.roomId },
  body: t.object({
    before_event: t.optional(t.eventId),
    /** Milliseconds since the Unix epoch. What stands before the first event of that time goes. */
    before_ts: t.optional(t.timestamp),
  }),
  response: t.object({
    /** Events of which nothing is left here. */
    removed: t.integer(),
    /** State events that are kept without a place in the timeline. */
    kept: t.integer(),
  }),
})
