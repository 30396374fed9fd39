/**
 * Backups of room keys.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#server-side-key-backups
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** Some thousand keys; clients send one or two hundred at a time. */
const bodyBytesMax = 2_097_152

const versionsPath = '/_matrix/client/v3/room_keys/version'
const versionPath = '/_matrix/client/v3/room_keys/version/{version}'
const keysPath = '/_matrix/client/v3/room_keys/keys'
const roomPath = '/_matrix/client/v3/room_keys/keys/{roomId}'
const sessionPath = '/_matrix/client/v3/room_keys/keys/{roomId}/{sessionId}'

const name = t.string({ min: 1, max: 255 })
const params = { version: name }
const query = { version: name }
const inRoom = { roomId: t.roomId }
const ofSession = { roomId: t.roomId, sessionId: name }

const description = t.object({
  algorithm: t.string(),
  auth_data: t.jsonObject,
  count: t.integer({ min: 0 }),
  etag: t.string(),
  version: t.string(),
})

const keyData = t.object({
  first_message_index: t.integer({ min: 0 }),
  forwarded_count: t.integer({ min: 0 }),
  is_verified: t.boolean(),
  session_data: t.jsonObject,
})

const roomKeys = t.object({ sessions: t.record(keyData) })

const state = t.object({ etag: t.string(), count: t.integer({ min: 0 }) })

/** `POST /_matrix/client/v3/room_keys/version` */
export const postRoomKeysVersion = endpoint({
  operationId: 'postRoomKeysVersion',
  method: 'POST',
  path: versionsPath,
  auth: 'user',
  body: t.object({ algorithm: name, auth_data: t.jsonObject }),
  keepsNumbers: true,
  response: t.object({ version: t.string() }),
})

/** `GET /_matrix/client/v3/room_keys/version` */
export const getRoomKeysVersionCurrent = endpoint({
  operationId: 'getRoomKeysVersionCurrent',
  method: 'GET',
  path: versionsPath,
  auth: 'user',
  response: description,
})

/** `GET /_matrix/client/v3/room_keys/version/{version}` */
export const getRoomKeysVersion = endpoint({
  operationId: 'getRoomKeysVersion',
  method: 'GET',
  path: versionPath,
  auth: 'user',
  params,
  response: description,
})

/** `PUT /_matrix/client/v3/room_keys/version/{version}` */
export const putRoomKeysVersion = endpoint({
  operationId: 'putRoomKeysVersion',
  method: 'PUT',
  path: versionPath,
  auth: 'user',
  params,
  body: t.object({ algorithm: name, auth_data: t.jsonObject, version: t.optional(t.string()) }),
  keepsNumbers: true,
  response: t.object({}),
})

/** `DELETE /_matrix/client/v3/room_keys/version/{version}` */
export const deleteRoomKeysVersion = endpoint({
  operationId: 'deleteRoomKeysVersion',
  method: 'DELETE',
  path: versionPath,
  auth: 'user',
  params,
  response: t.object({}),
})

/** `PUT /_matrix/client/v3/room_keys/keys/{roomId}/{sessionId}` */
export const putRoomKeyBySessionId = endpoint({
  operationId: 'putRoomKeyBySessionId',
  method: 'PUT',
  path: sessionPath,
  auth: 'user',
  params: ofSession,
  query,
  body: keyData,
  keepsNumbers: true,
  response: state,
})

/** `GET /_matrix/client/v3/room_keys/keys/{roomId}/{sessionId}` */
export const getRoomKeyBySessionId = endpoint({
  operationId: 'getRoomKeyBySessionId',
  method: 'GET',
  path: sessionPath,
  auth: 'user',
  params: ofSession,
  query,
  response: keyData,
})

/** `DELETE /_matrix/client/v3/room_keys/keys/{roomId}/{sessionId}` */
export const deleteRoomKeyBySessionId = endpoint({
  operationId: 'deleteRoomKeyBySessionId',
  method: 'DELETE',
  path: sessionPath,
  auth: 'user',
  params: ofSession,
  query,
  response: state,
})

/** `PUT /_matrix/client/v3/room_keys/keys/{roomId}` */
export const putRoomKeysByRoomId = endpoint({
  operationId: 'putRoomKeysByRoomId',
  method: 'PUT',
  path: roomPath,
  auth: 'user',
  params: inRoom,
  query,
  body: roomKeys,
  bodyBytesMax,
  keepsNumbers: true,
  response: state,
})

/** `GET /_matrix/client/v3/room_keys/keys/{roomId}` */
export const getRoomKeysByRoomId = endpoint({
  operationId: 'getRoomKeysByRoomId',
  method: 'GET',
  path: roomPath,
  auth: 'user',
  params: inRoom,
  query,
  response: roomKeys,
})

/** `DELETE /_matrix/client/v3/room_keys/keys/{roomId}` */
export const deleteRoomKeysByRoomId = endpoint({
  operationId: 'deleteRoomKeysByRoomId',
  method: 'DELETE',
  path: roomPath,
  auth: 'user',
  params: inRoom,
  query,
  response: state,
})

/** `PUT /_matrix/client/v3/room_keys/keys` */
export const putRoomKeys = endpoint({
  operationId: 'putRoomKeys',
  method: 'PUT',
  path: keysPath,
  auth: 'user',
  query,
  body: t.object({ rooms: t.record(roomKeys) }),
  bodyBytesMax,
  keepsNumbers: true,
  response: state,
})

/** `GET /_matrix/client/v3/room_keys/keys` */
export const getRoomKeys = endpoint({
  operationId: 'getRoomKeys',
  method: 'GET',
  path: keysPath,
  auth: 'user',
  query,
  response: t.object({ rooms: t.record(roomKeys) }),
})

/** `DELETE /_matrix/client/v3/room_keys/keys` */
export const deleteRoomKeys = endpoint({
  operationId: 'deleteRoomKeys',
  method: 'DELETE',
  path: keysPath,
  auth: 'user',
  query,
  response: state,
})
