/**
 * Comparing a room with what another server holds of it.
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

const compared = t.object({
  event_id: t.eventId,
  /** What this server thinks of it; `missing` if it does not have it. */
  status: t.oneOf('accepted', 'soft_failed', 'rejected', 'outlier', 'missing'),
  /** The auth rule for which this server refused it. */
  rule: t.optional(t.string()),
  sender: t.userId,
  origin_server_ts: t.integer(),
})

/** `GET /_hansa/admin/v1/rooms/{roomId}/compare/{serverName}`: our state and theirs, key by key. */
export const compareRoom = endpoint({
  operationId: 'compareRoom',
  method: 'GET',
  path: '/_hansa/admin/v1/rooms/{roomId}/compare/{serverName}',
  auth: 'admin',
  params: { roomId: t.roomId, serverName: t.serverName },
  response: t.object({
    room_id: t.roomId,
    room_version: t.string(),
    server: t.serverName,
    /** The states are those before this event: the newest that both have. */
    before: t.eventId,
    /** How many entries each state has. */
    our_size: t.integer(),
    their_size: t.integer(),
    differences: t.array(
      t.object({
        type: t.string(),
        state_key: t.string(),
        ours: t.optional(compared),
        /** More than one only from a server that makes no sense. */
        theirs: t.array(compared),
      }),
    ),
    /** Events of their state that could not be had, nor be read. */
    unreadable: t.array(t.eventId),
  }),
})
