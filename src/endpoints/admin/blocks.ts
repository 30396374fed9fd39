/**
 * Rooms and servers that are shut out.
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `GET /_hansa/admin/v1/blocks`. */
export const getBlocks = endpoint({
  operationId: 'getBlocks',
  method: 'GET',
  path: '/_hansa/admin/v1/blocks',
  auth: 'admin',
  response: t.object({
    blocks: t.array(
      t.object({
        /** A room ID or a server name. */
        name: t.string(),
        reason: t.string(),
        blocked_ts: t.integer(),
      }),
      { max: 100_000 },
    ),
  }),
})

/** `PUT /_hansa/admin/v1/blocks/{name}`: shuts a room or a server out. */
export const addBlock = endpoint({
  operationId: 'addBlock',
  method: 'PUT',
  path: '/_hansa/admin/v1/blocks/{name}',
  auth: 'admin',
  params: { name: t.string({ max: 255 }) },
  body: t.object({ reason: t.optional(t.string({ max: 500 })) }),
  response: t.object({}),
})

/** `DELETE /_hansa/admin/v1/blocks/{name}`: lets it in again. */
export const liftBlock = endpoint({
  operationId: 'liftBlock',
  method: 'DELETE',
  path: '/_hansa/admin/v1/blocks/{name}',
  auth: 'admin',
  params: { name: t.string({ max: 255 }) },
  response: t.object({}),
})
