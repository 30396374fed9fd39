/**
 * What users have reported.
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `GET /_hansa/admin/v1/reports`: the newest first. */
export const getReports = endpoint({
  operationId: 'getReports',
  method: 'GET',
  path: '/_hansa/admin/v1/reports',
  auth: 'admin',
  query: {
    /** The `next` of the page before. */
    from: t.optional(t.integer({ min: 1 })),
    limit: t.optional(t.integer({ min: 1, max: 1000 })),
  },
  response: t.object({
    reports: t.array(
      t.object({
        number: t.integer(),
        reporter: t.userId,
        /** The room that is reported, or that of the event. */
        room_id: t.optional(t.roomId),
        event_id: t.optional(t.eventId),
        /** The user who is reported. */
        user_id: t.optional(t.userId),
        reason: t.string(),
        reported_ts: t.timestamp,
      }),
    ),
    next: t.optional(t.integer()),
  }),
})

/** `DELETE /_hansa/admin/v1/reports/{number}`: one that was dealt with. */
export const deleteReport = endpoint({
  operationId: 'deleteReport',
  method: 'DELETE',
  path: '/_hansa/admin/v1/reports/{number}',
  auth: 'admin',
  params: { number: t.string({ max: 15 }) },
  response: t.object({}),
})
