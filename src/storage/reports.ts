/**
 * What users have reported.
 *
 * @module
 */

import type { EventId, RoomId, UserId } from '#protocol/identifiers/ids.ts'
import { type Reader, sql, type Writer } from './database.ts'

export interface ReportRow {
  readonly report_nid: number
  readonly reporter: UserId
  readonly room_id: RoomId | null
  readonly event_id: EventId | null
  readonly user_id: UserId | null
  readonly reason: string
  readonly reported_ts: number
}

export function addReport(tx: Writer, row: Omit<ReportRow, 'report_nid'>): void {
  tx.run(sql`
    INSERT INTO reports (reporter, room_id, event_id, user_id, reason, reported_ts)
    VALUES (${row.reporter}, ${row.room_id}, ${row.event_id}, ${row.user_id}, ${row.reason},
      ${row.reported_ts})
  `)
}

/** The newest first, before a number. */
export async function reportsBefore(
  db: Reader,
  before: number,
  limit: number,
): Promise<ReportRow[]> {
  return await db.all<ReportRow>(sql`
    SELECT report_nid, reporter, room_id, event_id, user_id, reason, reported_ts FROM reports
    WHERE report_nid < ${before} ORDER BY report_nid DESC LIMIT ${limit}
  `)
}

/** How much a user has reported since a time. */
export async function countReports(db: Reader, reporter: UserId, sinceTs: number): Promise<number> {
  const row = await db.first<{ count: number }>(sql`
    SELECT COUNT(*) AS count FROM reports
    WHERE reporter = ${reporter} AND reported_ts >= ${sinceTs}
  `)
  return Number(row?.count ?? 0)
}

/** Gives the rows that were there. */
export async function deleteReport(
  tx: Writer,
  reportNid: number,
): Promise<{ report_nid: number }[]> {
  return await tx.returning(sql`
    DELETE FROM reports WHERE report_nid = ${reportNid} RETURNING report_nid
  `)
}
