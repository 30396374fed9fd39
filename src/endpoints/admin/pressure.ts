/**
 * How much there is to do, and what the server gives up for it.
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `GET /_hansa/admin/v1/pressure`. */
export const getPressure = endpoint({
  operationId: 'getPressure',
  method: 'GET',
  path: '/_hansa/admin/v1/pressure',
  auth: 'admin',
  response: t.object({
    /** How late timers come: 99 of 100 come earlier. */
    lag_ms: t.integer({ min: 0 }),
    /** Of how much of its time the thread makes use, in percent. */
    busy_percent: t.integer({ min: 0, max: 100 }),
    /** How much of the memory is used, in percent. */
    memory_percent: t.integer({ min: 0 }),
    /** What is free on the fullest disk. */
    disk_free_bytes: t.optional(t.integer()),
    disk: t.oneOf('free', 'no-remote-media', 'no-uploads', 'no-writes'),
    /** The classes of requests that are refused at the moment. */
    shed: t.array(t.string(), { max: 10 }),
    refuses_connections: t.boolean(),
  }),
})
