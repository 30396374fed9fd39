/**
 * The user directory.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#user-directory
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `POST /_matrix/client/v3/user_directory/search` */
export const searchUserDirectory = endpoint({
  operationId: 'searchUserDirectory',
  method: 'POST',
  path: '/_matrix/client/v3/user_directory/search',
  auth: 'user',
  body: t.object({
    search_term: t.string({ max: 1_000 }),
    limit: t.optional(t.integer({ min: 0 })),
  }),
  response: t.object({
    results: t.array(
      t.object({
        user_id: t.userId,
        display_name: t.optional(t.string()),
        avatar_url: t.optional(t.mxcUri),
      }),
    ),
    limited: t.boolean(),
  }),
})
