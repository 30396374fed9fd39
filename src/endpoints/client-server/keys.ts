/**
 * The keys of devices, for end-to-end encryption.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#key-management-api
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'
import { deviceKeys, keyName, namedKeys } from './definitions/device-keys.ts'

/** What was uploaded by others is not measured again. */
const byUser = t.record(t.record(t.unknown()))

/** `POST /_matrix/client/v3/keys/upload` */
export const uploadKeys = endpoint({
  operationId: 'uploadKeys',
  method: 'POST',
  path: '/_matrix/client/v3/keys/upload',
  auth: 'user',
  guests: true,
  body: t.object({
    device_keys: t.optional(deviceKeys),
    one_time_keys: t.optional(namedKeys),
    fallback_keys: t.optional(namedKeys),
  }),
  // A thousand keys, each with a signature.
  bodyBytesMax: 524_288,
  keepsNumbers: true,
  response: t.object({ one_time_key_counts: t.record(t.integer({ min: 0 })) }),
})

/** `POST /_matrix/client/v3/keys/query` */
export const queryKeys = endpoint({
  operationId: 'queryKeys',
  method: 'POST',
  path: '/_matrix/client/v3/keys/query',
  auth: 'user',
  guests: true,
  body: t.object({
    timeout: t.optional(t.integer({ min: 0 })),
    device_keys: t.record(t.array(keyName)),
  }),
  // Some thousand users.
  bodyBytesMax: 1_048_576,
  response: t.object({
    failures: t.optional(t.record(t.jsonObject)),
    device_keys: t.optional(byUser),
    master_keys: t.optional(t.record(t.jsonObject)),
    self_signing_keys: t.optional(t.record(t.jsonObject)),
    user_signing_keys: t.optional(t.record(t.jsonObject)),
  }),
})

/** `GET /_matrix/client/v3/keys/changes` */
export const getKeysChanges = endpoint({
  operationId: 'getKeysChanges',
  method: 'GET',
  path: '/_matrix/client/v3/keys/changes',
  auth: 'user',
  query: { from: t.string(), to: t.string() },
  response: t.object({
    changed: t.array(t.userId, { max: 1_000_000 }),
    left: t.array(t.userId, { max: 1_000_000 }),
  }),
})

/** `POST /_matrix/client/v3/keys/claim` */
export const claimKeys = endpoint({
  operationId: 'claimKeys',
  method: 'POST',
  path: '/_matrix/client/v3/keys/claim',
  auth: 'user',
  guests: true,
  body: t.object({
    timeout: t.optional(t.integer({ min: 0 })),
    one_time_keys: t.record(t.record(keyName)),
  }),
  bodyBytesMax: 1_048_576,
  response: t.object({
    failures: t.optional(t.record(t.jsonObject)),
    one_time_keys: byUser,
  }),
})
