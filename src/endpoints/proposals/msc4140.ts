/**
 * Events that are sent later, which clients in calls use before they are part of the specification.
 *
 * https://github.com/matrix-org/matrix-spec-proposals/pull/4140
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'
import { stickyQuery } from './msc4354.ts'

const path = '/_matrix/client/unstable/org.matrix.msc4140/delayed_events'
const delayId = t.string({ min: 1, max: 255 })
const action = t.oneOf('cancel', 'restart', 'send')

/** What makes an event one that is sent later: milliseconds, as a parameter of sending. */
export const delayParameter = 'org.matrix.msc4140.delay'
export const delayQuery = { [delayParameter]: t.optional(t.integer({ min: 1 })) } as const

/** A delayed event, as clients were told of it first, and as they are since. */
const delayedEvent = t.object({
  delay_id: delayId,
  room_id: t.roomId,
  type: t.string(),
  state_key: t.optional(t.string()),
  delay: t.integer(),
  delay_ms: t.integer(),
  running_since: t.timestamp,
  scheduled_at: t.timestamp,
  content: t.jsonObject,
})

/** `PUT …/rooms/{roomId}/delayed_event/{eventType}/{txnId}` */
export const sendDelayedEvent = endpoint({
  operationId: 'sendDelayedEvent',
  method: 'PUT',
  path: '/_matrix/client/unstable/org.matrix.msc4140/rooms/{roomId}/delayed_event/{eventType}/{txnId}',
  auth: 'user',
  guests: true,
  params: {
    roomId: t.roomId,
    eventType: t.string({ min: 1, max: 255 }),
    txnId: t.string({ min: 1, max: 255 }),
  },
  query: stickyQuery,
  body: t.object({
    /** Milliseconds, and what they were called before. One of the two must be there. */
    delay_ms: t.optional(t.integer({ min: 1 })),
    delay: t.optional(t.integer({ min: 1 })),
    /** Of state. */
    state_key: t.optional(t.string({ max: 255 })),
    content: t.jsonObject,
  }),
  bodyBytesMax: 393_216,
  response: t.object({ delay_id: delayId }),
})

/** `GET …/delayed_events/{delayId}` */
export const getDelayedEvent = endpoint({
  operationId: 'getDelayedEvent',
  method: 'GET',
  path: '/_matrix/client/unstable/org.matrix.msc4140/delayed_events/{delayId}',
  auth: 'user',
  params: { delayId },
  response: delayedEvent,
})

/** `GET …/delayed_events` */
export const getDelayedEvents = endpoint({
  operationId: 'getDelayedEvents',
  method: 'GET',
  path,
  auth: 'user',
  response: t.object({
    delayed_events: t.array(delayedEvent),
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
