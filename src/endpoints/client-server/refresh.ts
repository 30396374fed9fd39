/**
 * Getting a new access token for a refresh token.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#refreshing-access-tokens
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `POST /_matrix/client/v3/refresh` */
export const refresh = endpoint({
  operationId: 'refresh',
  method: 'POST',
  path: '/_matrix/client/v3/refresh',
  auth: 'none',
  body: t.object({ refresh_token: t.string() }),
  response: t.object({
    access_token: t.string(),
    refresh_token: t.optional(t.string()),
    expires_in_ms: t.optional(t.integer()),
  }),
})
