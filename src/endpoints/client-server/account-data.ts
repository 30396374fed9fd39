/**
 * What clients keep for their user, for all rooms or for one.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#client-config
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

const globalPath = '/_matrix/client/v3/user/{userId}/account_data/{type}'
const roomPath = '/_matrix/client/v3/user/{userId}/rooms/{roomId}/account_data/{type}'

const globalParams = { userId: t.userId, type: t.string({ min: 1, max: 255 }) }
const roomParams = { ...globalParams, roomId: t.roomId }

/** `GET /_matrix/client/v3/user/{userId}/account_data/{type}` */
export const getAccountData = endpoint({
  operationId: 'getAccountData',
  method: 'GET',
  path: globalPath,
  auth: 'user',
  params: globalParams,
  response: t.jsonObject,
})

/** `PUT /_matrix/client/v3/user/{userId}/account_data/{type}` */
export const setAccountData = endpoint({
  operationId: 'setAccountData',
  method: 'PUT',
  path: globalPath,
  auth: 'user',
  params: globalParams,
  body: t.jsonObject,
  response: t.object({}),
})

/** `GET /_matrix/client/v3/user/{userId}/rooms/{roomId}/account_data/{type}` */
export const getAccountDataPerRoom = endpoint({
  operationId: 'getAccountDataPerRoom',
  method: 'GET',
  path: roomPath,
  auth: 'user',
  params: roomParams,
  response: t.jsonObject,
})

/** `PUT /_matrix/client/v3/user/{userId}/rooms/{roomId}/account_data/{type}` */
export const setAccountDataPerRoom = endpoint({
  operationId: 'setAccountDataPerRoom',
  method: 'PUT',
  path: roomPath,
  auth: 'user',
  params: roomParams,
  body: t.jsonObject,
  response: t.object({}),
})
