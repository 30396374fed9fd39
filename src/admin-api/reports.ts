/**
 * Shows administrators what users have reported.
 *
 * @module
 */

import { deleteReport, getReports } from '#endpoints/admin/reports.ts'
import { answer, type Route } from '#http/endpoint.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Server } from '#server.ts'

type Needs = Pick<Server, 'users'>

const limitDefault = 100

export const reportRoutes: readonly Route<Needs>[] = [
  answer(getReports, async ({ query: { from, limit = limitDefault } }, { users }) => {
    const rows = await users.reports.list({ before: from, limit })
    const last = rows.at(-1)
    return {
      reports: rows.map((row) => ({
        number: row.report_nid,
        reporter: row.reporter,
        ...(row.room_id !== null && { room_id: row.room_id }),
        ...(row.event_id !== null && { event_id: row.event_id }),
        ...(row.user_id !== null && { user_id: row.user_id }),
        reason: row.reason,
        reported_ts: row.reported_ts,
      })),
      ...(last !== undefined && rows.length === limit && { next: last.report_nid }),
    }
  }),
  answer(deleteReport, async ({ params }, { users }) => {
    const number = /^[0-9]+$/.test(params.number) ? Number(params.number) : 0
    if (await users.reports.delete(number)) return {}
    throw new MatrixError(404, 'M_NOT_FOUND', 'There is no report of this number.')
  }),
]
