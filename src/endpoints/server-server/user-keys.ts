/**
 * The keys of users of the server that is asked.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#end-to-end-encryption
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

const name = t.string({ min: 1, max: 255 })

/** `POST /_matrix/federation/v1/user/keys/query` */
export const queryUserEncryptionKeys = endpoint({
  operationId: 'queryUserEncryptionKeys',
  method: 'POST',
  path: '/_matrix/federation/v1/user/keys/query',
  auth: 'server',
  body: t.object({ device_keys: t.record(t.array(name)) }),
  bodyBytesMax: 1_048_576,
  response: t.object({
    device_keys: t.record(t.jsonObject),
    master_keys: t.optional(t.json),
    self_signing_keys: t.optional(t.json),
  }),
})

/** `POST /_matrix/federation/v1/user/keys/claim` */
export const claimUserEncryptionKeys = endpoint({
  operationId: 'claimUserEncryptionKeys',
  method: 'POST',
  path: '/_matrix/federation/v1/user/keys/claim',
  auth: 'server',
  body: t.object({ one_time_keys: t.record(t.record(name)) }),
  bodyBytesMax: 1_048_576,
  response: t.object({ one_time_keys: t.record(t.jsonObject) }),
})
