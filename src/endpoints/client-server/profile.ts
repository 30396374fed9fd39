/**
 * Profiles.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#profiles
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `GET /_matrix/client/v3/profile/{userId}` */
export const getUserProfile = endpoint({
  operationId: 'getUserProfile',
  method: 'GET',
  path: '/_matrix/client/v3/profile/{userId}',
  auth: 'none',
  params: { userId: t.userId },
  response: t.jsonObject,
})

/** `GET /_matrix/client/v3/profile/{userId}/{keyName}` */
export const getProfileField = endpoint({
  operationId: 'getProfileField',
  method: 'GET',
  path: '/_matrix/client/v3/profile/{userId}/{keyName}',
  auth: 'none',
  params: { userId: t.userId, keyName: t.string() },
  response: t.jsonObject,
})

/** `PUT /_matrix/client/v3/profile/{userId}/{keyName}` */
export const setProfileField = endpoint({
  operationId: 'setProfileField',
  method: 'PUT',
  path: '/_matrix/client/v3/profile/{userId}/{keyName}',
  auth: 'user',
  notIfSuspended: true,
  guests: true,
  params: { userId: t.userId, keyName: t.string() },
  body: t.jsonObject,
  response: t.object({}),
})

/** `DELETE /_matrix/client/v3/profile/{userId}/{keyName}` */
export const deleteProfileField = endpoint({
  operationId: 'deleteProfileField',
  method: 'DELETE',
  path: '/_matrix/client/v3/profile/{userId}/{keyName}',
  auth: 'user',
  notIfSuspended: true,
  guests: true,
  params: { userId: t.userId, keyName: t.string() },
  response: t.object({}),
})
