/**
 * Events that are sent later, which clients in calls use before they are part of the specification.
 *
 * https://github.com/matrix-org/matrix-spec-proposals/pull/4140
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

const path = '/_matrix/client/unstable/org.matrix.msc4140/delayed_events'
const delayId = t.string({ min: 1, max: 255 })
const action = t.oneOf('cancel', 'restart', 'send')

/** What makes an event one that is sent later: milliseconds, as a parameter of sending. */
export const delayParameter = 'org.matrix.msc4140.delay'
export const delayQuery = { [delayParameter]: t.optional(t.integer({ min: 1 })) } as const

/** `GET …/delayed_events` */
export const getDelayedEvents = endpoint({
  operationId: 'getDelayedEvents',
  method: 'GET',
  path,
  auth: 'user',
  response: t.object({
    delayed_events: t.array(
      t.object({
        delay_id: delayId,
        room_id: t.roomId,
        type: t.string(),
        state_key: t.optional(t.string()),
        delay: t.integer(),
        running_since: t.timestamp,
        content: t.jsonObject,
      }),
    ),
  }),
})

/** `POST …/delayed_events/{delayId}`: by who has a session. */
export const updateDelayedEvent = endpoint({
  operationId: 'updateDelayedEvent',
  method: 'POST',
  path: '/_matrix/client/unstable/org.matrix.msc4140/delayed_events/{delayId}',
  auth: 'user',
  params: { delayId },
  body: t.object({ action }),
  response: t.object({}),
})

/** `POST …/delayed_events/{delayId}/{action}`: by whoever was told the ID. */
export const actOnDelayedEvent = endpoint({
  operationId: 'actOnDelayedEvent',
  method: 'POST',
  path: '/_matrix/client/unstable/org.matrix.msc4140/delayed_events/{delayId}/{action}',
  auth: 'none',
  params: { delayId, action },
  response: t.object({}),
})
