/**
 * Ephemeral data units that are not to be lost with the process: receipts, and what must reach its
 * devices. A newer one with the same key takes the place of the older.
 *
 * @module
 */

import type { ServerName } from '#protocol/identifiers/ids.ts'
import { type Reader, sql, type Writer } from './database.ts'

export interface EduRow {
  readonly edu_key: string
  /** Where it stands in line; larger ones are newer. */
  readonly place: number
  /** The EDU as canonical JSON. */
  readonly edu_json: string
}

export function saveEdu(tx: Writer, destination: ServerName, row: EduRow): void {
  tx.run(sql`
    INSERT INTO edu_outbox (destination, edu_key, place, edu_json)
    VALUES (${destination}, ${row.edu_key}, ${row.place}, ${row.edu_json})
    ON CONFLICT (destination, edu_key) DO UPDATE
    SET place = excluded.place, edu_json = excluded.edu_json
  `)
}

/** The oldest EDUs for a destination. */
export async function edusFor(
  db: Reader,
  destination: ServerName,
  limit: number,
): Promise<EduRow[]> {
  return await db.all<EduRow>(sql`
    SELECT edu_key, place, edu_json FROM edu_outbox WHERE destination = ${destination}
    ORDER BY place, edu_key LIMIT ${limit}
  `)
}

export async function eduDestinations(db: Reader): Promise<ServerName[]> {
  const rows = await db.all<{ destination: ServerName }>(sql`
    SELECT DISTINCT destination FROM edu_outbox ORDER BY destination
  `)
  return rows.map((row) => row.destination)
}

/** Forgets EDUs that were sent, but not what has taken their place meanwhile. */
export function removeEdus(tx: Writer, destination: ServerName, rows: readonly EduRow[]): void {
  for (const row of rows) {
    tx.run(sql`
      DELETE FROM edu_outbox WHERE destination = ${destination} AND edu_key = ${row.edu_key}
      AND place = ${row.place}
    `)
  }
}

/** Keeps only the newest EDUs for a destination that has not answered for long. */
export function trimEdus(tx: Writer, destination: ServerName, keep: number): void {
  tx.run(sql`
    DELETE FROM edu_outbox WHERE destination = ${destination} AND place <= (
      SELECT place FROM edu_outbox WHERE destination = ${destination}
      ORDER BY place DESC LIMIT 1 OFFSET ${keep}
    )
  `)
}
