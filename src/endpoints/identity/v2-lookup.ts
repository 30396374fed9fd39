/**
 * Finding the user of an e-mail address or the like.
 *
 * https://spec.matrix.org/v1.19/identity-service-api/#association-lookup
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `GET /_matrix/identity/v2/hash_details`: how addresses are hashed to be looked up. */
export const getHashDetails = endpoint({
  operationId: 'getHashDetails',
  method: 'GET',
  path: '/_matrix/identity/v2/hash_details',
  auth: 'user',
  response: t.object({
    lookup_pepper: t.string({ max: 1_000 }),
    algorithms: t.array(t.string({ max: 255 }), { max: 100 }),
  }),
})

/** `POST /_matrix/identity/v2/lookup` */
export const lookupUsersV2 = endpoint({
  operationId: 'lookupUsersV2',
  method: 'POST',
  path: '/_matrix/identity/v2/lookup',
  auth: 'user',
  body: t.object({ algorithm: t.string(), pepper: t.string(), addresses: t.array(t.string()) }),
  response: t.object({ mappings: t.record(t.string()) }),
})
