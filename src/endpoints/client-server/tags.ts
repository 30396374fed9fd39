/**
 * Tags by which a user sorts rooms.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#room-tagging
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

const tagsPath = '/_matrix/client/v3/user/{userId}/rooms/{roomId}/tags'
const tagPath = `${tagsPath}/{tag}` as const

const params = { userId: t.userId, roomId: t.roomId }
const tagParams = { ...params, tag: t.string({ min: 1, max: 255 }) }

/** `GET /_matrix/client/v3/user/{userId}/rooms/{roomId}/tags` */
export const getRoomTags = endpoint({
  operationId: 'getRoomTags',
  method: 'GET',
  path: tagsPath,
  auth: 'user',
  params,
  response: t.object({ tags: t.optional(t.jsonObject) }),
})

/** `PUT /_matrix/client/v3/user/{userId}/rooms/{roomId}/tags/{tag}` */
export const setRoomTag = endpoint({
  operationId: 'setRoomTag',
  method: 'PUT',
  path: tagPath,
  auth: 'user',
  params: tagParams,
  body: t.asJson(t.object({ order: t.optional(t.number()) })),
  response: t.object({}),
})

/** `DELETE /_matrix/client/v3/user/{userId}/rooms/{roomId}/tags/{tag}` */
export const deleteRoomTag = endpoint({
  operationId: 'deleteRoomTag',
  method: 'DELETE',
  path: tagPath,
  auth: 'user',
  params: tagParams,
  response: t.object({}),
})
