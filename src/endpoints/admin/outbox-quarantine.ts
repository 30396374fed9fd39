/**
 * Events and messages to devices that other servers refused, taken out of line so that they hold up
 * nothing else.
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** The most items that are asked for at once. */
const itemsMax = 1000

/** `GET /_hansa/admin/v1/outbox_quarantine`: by destination, and in the order in which it was to be sent. */
export const getOutboxQuarantine = endpoint({
  operationId: 'getOutboxQuarantine',
  method: 'GET',
  path: '/_hansa/admin/v1/outbox_quarantine',
  auth: 'admin',
  query: {
    /** The `next` of the page before. */
    from: t.optional(t.string({ max: 1000 })),
    limit: t.optional(t.integer({ min: 1, max: itemsMax })),
  },
  response: t.object({
    items: t.array(
      t.object({
        destination: t.serverName,
        /** Its position in the stream, by which it is named to be sent again or dropped. */
        stream: t.integer(),
        /** The event; not there for what is about devices. */
        event_id: t.optional(t.eventId),
        room_id: t.optional(t.roomId),
        /** Of what is about devices: what it is, and who sent it or whose devices these are. */
        kind: t.optional(t.oneOf('message', 'devices', 'keys')),
        sender: t.optional(t.userId),
        /** What the server said. */
        reason: t.string(),
        refused_ts: t.integer(),
        refusals: t.integer(),
        /** When it is sent again by itself, if it is. */
        retry_ts: t.optional(t.integer()),
      }),
      { max: itemsMax },
    ),
    next: t.optional(t.string()),
  }),
})

const choice = {
  /** One position in the stream; all of the destination if it is left out. */
  stream: t.optional(t.integer({ min: 0 })),
}

/** `POST …/outbox_quarantine/{destination}/retry`: puts it back into line. */
export const retryOutboxQuarantine = endpoint({
  operationId: 'retryOutboxQuarantine',
  method: 'POST',
  path: '/_hansa/admin/v1/outbox_quarantine/{destination}/retry',
  auth: 'admin',
  params: { destination: t.serverName },
  query: choice,
  response: t.object({ count: t.integer() }),
})

/** `DELETE …/outbox_quarantine/{destination}`: gives it up. */
export const dropOutboxQuarantine = endpoint({
  operationId: 'dropOutboxQuarantine',
  method: 'DELETE',
  path: '/_hansa/admin/v1/outbox_quarantine/{destination}',
  auth: 'admin',
  params: { destination: t.serverName },
  query: choice,
  response: t.object({ count: t.integer() }),
})
