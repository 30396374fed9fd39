/**
 * What clients asked before there was `/sync`.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3initialsync
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `GET /_matrix/client/v3/initialSync` */
export const initialSync = endpoint({
  operationId: 'initialSync',
  method: 'GET',
  path: '/_matrix/client/v3/initialSync',
  auth: 'user',
  query: {
    limit: t.optional(t.integer({ min: 0 })),
    archived: t.optional(t.boolean()),
  },
  response: t.object({
    end: t.string(),
    presence: t.array(t.jsonObject),
    rooms: t.array(t.jsonObject, { max: 1_000_000 }),
    account_data: t.optional(t.array(t.jsonObject, { max: 100_000 })),
  }),
})

/** `GET /_matrix/client/v3/events/{eventId}` */
export const getOneEvent = endpoint({
  operationId: 'getOneEvent',
  method: 'GET',
  path: '/_matrix/client/v3/events/{eventId}',
  auth: 'user',
  params: { eventId: t.eventId },
  response: t.jsonObject,
})
