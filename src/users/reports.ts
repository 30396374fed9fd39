/**
 * What users report to the administrators of this server, who are shown it.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#reporting-content
 *
 * @module
 */

import type { Clock } from '#io/clock.ts'
import type { EventId, RoomId, UserId } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Database } from '#storage/database.ts'
import {
  addReport,
  countReports,
  deleteReport,
  type ReportRow,
  reportsBefore,
} from '#storage/reports.ts'

/** What is reported: an event, a room, or a user. */
export type Reported =
  | { readonly roomId: RoomId; readonly eventId: EventId }
  | { readonly roomId: RoomId }
  | { readonly userId: UserId }

export interface Reports {
  /** Throws 429 for a user who reports all too much. */
  add(reporter: UserId, reported: Reported, reason: string): Promise<void>
  /** The newest first, before a number. */
  list(range: { readonly before: number | undefined; readonly limit: number }): Promise<ReportRow[]>
  /** Whether there was one of this number. */
  delete(number: number): Promise<boolean>
}

/** How much one user may report in a day. */
const reportsMax = 500
const dayMs = 86_400_000

export function createReports({
  db,
  clock,
}: {
  readonly db: Database
  readonly clock: Pick<Clock, 'now'>
}): Reports {
  return {
    add: async (reporter, reported, reason) => {
      const reported_ts = clock.now()
      if ((await countReports(db, reporter, reported_ts - dayMs)) >= reportsMax) {
        throw new MatrixError(429, 'M_LIMIT_EXCEEDED', 'You have reported enough for today.')
      }
      await db.write((tx) =>
        addReport(tx, {
          reporter,
          room_id: 'roomId' in reported ? reported.roomId : null,
          event_id: 'eventId' in reported ? reported.eventId : null,
          user_id: 'userId' in reported ? reported.userId : null,
          reason,
          reported_ts,
        }),
      )
    },
    list: ({ before = Number.MAX_SAFE_INTEGER, limit }) => reportsBefore(db, before, limit),
    delete: async (number) => (await db.write((tx) => deleteReport(tx, number))).length > 0,
  }
}
