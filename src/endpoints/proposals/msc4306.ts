/**
 * Subscriptions to threads, before they are part of the specification.
 *
 * https://github.com/matrix-org/matrix-spec-proposals/pull/4306
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

const path =
  '/_matrix/client/unstable/io.element.msc4306/rooms/{roomId}/thread/{eventId}/subscription'

const params = { roomId: t.roomId, eventId: t.eventId }

/** `GET …/rooms/{roomId}/thread/{eventId}/subscription` */
export const getThreadSubscription = endpoint({
  operationId: 'getThreadSubscription',
  method: 'GET',
  path,
  auth: 'user',
  params,
  response: t.object({ automatic: t.boolean() }),
})

/** `PUT …/rooms/{roomId}/thread/{eventId}/subscription` */
export const putThreadSubscription = endpoint({
  operationId: 'putThreadSubscription',
  method: 'PUT',
  path,
  auth: 'user',
  params,
  body: t.object({
    /** The event that made the client subscribe without being told to. */
    automatic: t.optional(t.eventId),
  }),
  response: t.object({}),
})

/** `DELETE …/rooms/{roomId}/thread/{eventId}/subscription` */
export const deleteThreadSubscription = endpoint({
  operationId: 'deleteThreadSubscription',
  method: 'DELETE',
  path,
  auth: 'user',
  params,
  response: t.object({}),
})
