/**
 * The rooms that two users share, where clients ask for them that do not know the operation of the
 * specification: it calls its tokens otherwise.
 *
 * https://github.com/matrix-org/matrix-spec-proposals/pull/2666
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `GET …/user/mutual_rooms` */
export const queryMutualRooms = endpoint({
  operationId: 'queryMutualRooms',
  method: 'GET',
  path: '/_matrix/client/unstable/uk.half-shot.msc2666/user/mutual_rooms',
  auth: 'user',
  query: { user_id: t.userId, batch_token: t.optional(t.string({ max: 300 })) },
  response: t.object({ joined: t.array(t.roomId), next_batch_token: t.optional(t.string()) }),
})
