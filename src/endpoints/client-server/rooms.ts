/**
 * Reading events and the state of a room.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#getting-events-for-a-room
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

const membership = t.oneOf('join', 'invite', 'knock', 'leave', 'ban')

/** As many as a large room has entries of state. */
const state = t.array(t.jsonObject, { max: 1_000_000 })

/** `GET /_matrix/client/v3/rooms/{roomId}/event/{eventId}` */
export const getOneRoomEvent = endpoint({
  operationId: 'getOneRoomEvent',
  method: 'GET',
  path: '/_matrix/client/v3/rooms/{roomId}/event/{eventId}',
  auth: 'user',
  guests: true,
  params: { roomId: t.roomId, eventId: t.eventId },
  response: t.jsonObject,
})

/** `GET /_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey}` */
export const getRoomStateWithKey = endpoint({
  operationId: 'getRoomStateWithKey',
  method: 'GET',
  path: '/_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey}',
  // When an empty string, the trailing slash on this endpoint is optional.
  lastParamMayBeEmpty: true,
  auth: 'user',
  guests: true,
  params: { roomId: t.roomId, eventType: t.string({ max: 255 }), stateKey: t.string({ max: 255 }) },
  query: { format: t.optional(t.oneOf('content', 'event')) },
  response: t.jsonObject,
})

/** `GET /_matrix/client/v3/rooms/{roomId}/state` */
export const getRoomState = endpoint({
  operationId: 'getRoomState',
  method: 'GET',
  path: '/_matrix/client/v3/rooms/{roomId}/state',
  auth: 'user',
  guests: true,
  params: { roomId: t.roomId },
  response: state,
})

/** `GET /_matrix/client/v3/rooms/{roomId}/members` */
export const getMembersByRoom = endpoint({
  operationId: 'getMembersByRoom',
  method: 'GET',
  path: '/_matrix/client/v3/rooms/{roomId}/members',
  auth: 'user',
  guests: true,
  params: { roomId: t.roomId },
  query: {
    at: t.optional(t.string()),
    membership: t.optional(membership),
    not_membership: t.optional(membership),
  },
  response: t.object({ chunk: state }),
})

/** `GET /_matrix/client/v3/rooms/{roomId}/joined_members` */
export const getJoinedMembersByRoom = endpoint({
  operationId: 'getJoinedMembersByRoom',
  method: 'GET',
  path: '/_matrix/client/v3/rooms/{roomId}/joined_members',
  auth: 'user',
  params: { roomId: t.roomId },
  response: t.object({
    joined: t.record(
      t.object({ display_name: t.optional(t.string()), avatar_url: t.optional(t.string()) }),
    ),
  }),
})
