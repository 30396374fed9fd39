/**
 * Other servers' keys, by way of a notary.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#querying-keys-through-another-server
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** The servers' own answers, each signed by the notary as well. */
const response = t.object({ server_keys: t.array(t.jsonObject, { max: 5000 }) })

/** `GET /_matrix/key/v2/query/{serverName}`: the keys of one server. */
export const perspectivesKeyQuery = endpoint({
  operationId: 'perspectivesKeyQuery',
  method: 'GET',
  path: '/_matrix/key/v2/query/{serverName}',
  auth: 'none',
  params: { serverName: t.serverName },
  query: { minimum_valid_until_ts: t.optional(t.integer()) },
  response,
})

/** `POST /_matrix/key/v2/query`: the keys of several servers. */
export const bulkPerspectivesKeyQuery = endpoint({
  operationId: 'bulkPerspectivesKeyQuery',
  method: 'POST',
  path: '/_matrix/key/v2/query',
  auth: 'none',
  body: t.object({
    server_keys: t.record(t.record(t.object({ minimum_valid_until_ts: t.optional(t.integer()) }))),
  }),
  bodyBytesMax: 256 * 1024,
  response,
})
