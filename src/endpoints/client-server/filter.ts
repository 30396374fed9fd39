/**
 * Filters that clients keep here for /sync.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#filtering
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `POST /_matrix/client/v3/user/{userId}/filter` */
export const defineFilter = endpoint({
  operationId: 'defineFilter',
  method: 'POST',
  path: '/_matrix/client/v3/user/{userId}/filter',
  auth: 'user',
  guests: true,
  params: { userId: t.userId },
  body: t.jsonObject,
  response: t.object({ filter_id: t.string() }),
})

/** `GET /_matrix/client/v3/user/{userId}/filter/{filterId}` */
export const getFilter = endpoint({
  operationId: 'getFilter',
  method: 'GET',
  path: '/_matrix/client/v3/user/{userId}/filter/{filterId}',
  auth: 'user',
  guests: true,
  params: { userId: t.userId, filterId: t.string({ max: 255 }) },
  response: t.jsonObject,
})
