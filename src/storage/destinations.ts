/**
 * Servers that fail us, and when they are tried again: kept so that a restart does not make us knock
 * at every dead server of the world at once.
 *
 * @module
 */

import type { ServerName } from '#protocol/identifiers/ids.ts'
import { type Reader, sql, type Writer } from './database.ts'

export interface FailingDestination {
  readonly destination: ServerName
  /** When it last answered, or was first tried. */
  readonly failing_since_ts: number
  readonly retry_at_ts: number
  /** The pause before jitter; the next one is twice as long. */
  readonly retry_interval_ms: number
  /** Why the last attempt failed, as a sentence. */
  readonly reason: string
}

export async function failingDestinations(db: Reader): Promise<FailingDestination[]> {
  return await db.all<FailingDestination>(sql`
    SELECT destination, failing_since_ts, retry_at_ts, retry_interval_ms, reason
    FROM destinations ORDER BY destination
  `)
}

export function saveFailure(tx: Writer, failure: FailingDestination): void {
  tx.run(sql`
    INSERT INTO destinations
      (destination, failing_since_ts, retry_at_ts, retry_interval_ms, reason)
    VALUES (${failure.destination}, ${failure.failing_since_ts}, ${failure.retry_at_ts},
      ${failure.retry_interval_ms}, ${failure.reason})
    ON CONFLICT (destination) DO UPDATE SET retry_at_ts = excluded.retry_at_ts,
      retry_interval_ms = excluded.retry_interval_ms, reason = excluded.reason
  `)
}

export function clearFailure(tx: Writer, destination: ServerName): void {
  tx.run(sql`DELETE FROM destinations WHERE destination = ${destination}`)
}
