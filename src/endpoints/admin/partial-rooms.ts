/**
 * Rooms of whose state members were left out when a user of ours joined, until all of it is known.
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** How many are shown; there are seldom more than a few. */
export const partialRoomsMax = 1000

/** `GET /_hansa/admin/v1/partial_rooms`: the longest known first. */
export const getPartialRooms = endpoint({
  operationId: 'getPartialRooms',
  method: 'GET',
  path: '/_hansa/admin/v1/partial_rooms',
  auth: 'admin',
  response: t.object({
    rooms: t.array(
      t.object({
        room_id: t.roomId,
        /** The server through which it was joined. */
        resident: t.serverName,
        /** How many servers were in the room, as the resident said. */
        servers: t.integer(),
        /** How many members are known so far, also those who are not in the room any more. */
        members_known: t.integer(),
        since_ts: t.integer(),
        /** How often the whole state was asked for in vain, and what was wrong the last time. */
        tries: t.integer(),
        problem: t.optional(t.string()),
      }),
      { max: partialRoomsMax },
    ),
  }),
})

/** `POST …/rooms/{roomId}/partial_state/retry`: asks for the whole state now. */
export const retryPartialState = endpoint({
  operationId: 'retryPartialState',
  method: 'POST',
  path: '/_hansa/admin/v1/rooms/{roomId}/partial_state/retry',
  auth: 'admin',
  params: { roomId: t.roomId },
  response: t.object({}),
})
