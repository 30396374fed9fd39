/**
 * Invitations of e-mail addresses or the like that no user has.
 *
 * https://spec.matrix.org/v1.19/identity-service-api/#invitation-storage
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

const publicKey = t.object({
  public_key: t.string({ max: 100 }),
  key_validity_url: t.string({ max: 2_000 }),
})

/** `POST /_matrix/identity/v2/store-invite` */
export const storeInviteV2 = endpoint({
  operationId: 'storeInviteV2',
  method: 'POST',
  path: '/_matrix/identity/v2/store-invite',
  auth: 'user',
  body: t.jsonObject,
  response: t.object({
    // Its length must not exceed 255 characters and it must not be empty.
    token: t.string({ min: 1, max: 255 }),
    public_keys: t.array(publicKey, { min: 1, max: 10 }),
    display_name: t.string({ max: 1_000 }),
  }),
})
