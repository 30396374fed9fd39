/**
 * The keys by which users vouch for their devices and for each other.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#cross-signing
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'
import { authData } from './definitions/auth-data.ts'

const crossSigningKey = t.object({
  user_id: t.userId,
  usage: t.array(t.string({ max: 255 }), { max: 10 }),
  keys: t.record(t.string({ max: 255 })),
  signatures: t.optional(t.record(t.record(t.string({ max: 1_000 })))),
})

/** `POST /_matrix/client/v3/keys/device_signing/upload` */
export const uploadCrossSigningKeys = endpoint({
  operationId: 'uploadCrossSigningKeys',
  method: 'POST',
  path: '/_matrix/client/v3/keys/device_signing/upload',
  auth: 'user',
  body: t.object({
    master_key: t.optional(crossSigningKey),
    self_signing_key: t.optional(crossSigningKey),
    user_signing_key: t.optional(crossSigningKey),
    auth: t.optional(authData),
  }),
  keepsNumbers: true,
  response: t.object({}),
})

/** `POST /_matrix/client/v3/keys/signatures/upload` */
export const uploadCrossSigningSignatures = endpoint({
  operationId: 'uploadCrossSigningSignatures',
  method: 'POST',
  path: '/_matrix/client/v3/keys/signatures/upload',
  auth: 'user',
  body: t.record(t.record(t.jsonObject)),
  // Some hundred keys.
  bodyBytesMax: 524_288,
  keepsNumbers: true,
  response: t.object({ failures: t.optional(t.record(t.record(t.jsonObject))) }),
})
