/**
 * What is to be sent to other servers ahead of events: messages to devices, and what is new of users'
 * devices and keys. It stays until the other server has answered 200.
 *
 * Updates of devices and keys are rows without content: that is the same for all servers, and is made
 * when it is sent, from what the devices are by then.
 *
 * @module
 */

import type { ServerName, UserId } from '#protocol/identifiers/ids.ts'
import { type Reader, sql, type Writer } from './database.ts'

export interface DeviceOutboxRow {
  readonly stream: number
  readonly sub: number
  /** A message to devices, an update of a user's devices, or of their cross-signing keys. */
  readonly kind: 'message' | 'devices' | 'keys'
  /** Who sends, or whose update it is. */
  readonly user_id: UserId
  /** Of a message: the EDU as canonical JSON. */
  readonly edu_json: string | null
  /** How often the destination has refused it. */
  readonly refusals: number
}

export function addToDeviceOutbox(
  tx: Writer,
  destination: ServerName,
  row: Omit<DeviceOutboxRow, 'refusals'>,
): void {
  tx.run(sql`
    INSERT INTO device_outbox (destination, stream, sub, kind, user_id, edu_json)
    VALUES (${destination}, ${row.stream}, ${row.sub}, ${row.kind}, ${row.user_id},
      ${row.edu_json})
    ON CONFLICT DO NOTHING
  `)
}

/** The oldest rows for a destination. */
export async function deviceOutboxOf(
  db: Reader,
  destination: ServerName,
  limit: number,
): Promise<DeviceOutboxRow[]> {
  return await db.all<DeviceOutboxRow>(sql`
    SELECT stream, sub, kind, user_id, edu_json, refusals FROM device_outbox
    WHERE destination = ${destination} ORDER BY stream, sub LIMIT ${limit}
  `)
}

export async function deviceOutboxDestinations(db: Reader): Promise<ServerName[]> {
  const rows = await db.all<{ destination: ServerName }>(sql`
    SELECT DISTINCT destination FROM device_outbox ORDER BY destination
  `)
  return rows.map((row) => row.destination)
}

export function removeFromDeviceOutbox(
  tx: Writer,
  destination: ServerName,
  rows: readonly Pick<DeviceOutboxRow, 'stream' | 'sub'>[],
): void {
  for (const { stream, sub } of rows) {
    tx.run(sql`
      DELETE FROM device_outbox
      WHERE destination = ${destination} AND stream = ${stream} AND sub = ${sub}
    `)
  }
}

/**
 * Keeps for a destination that has not answered for long only the newest messages, and of each user
 * the newest update of each kind: from that the destination sees that it lacks others.
 */
export function trimDeviceOutbox(tx: Writer, destination: ServerName, messages: number): void {
  tx.run(sql`
    DELETE FROM device_outbox WHERE destination = ${destination} AND kind <> 'message'
    AND stream NOT IN (
      SELECT MAX(stream) FROM device_outbox WHERE destination = ${destination}
      GROUP BY kind, user_id
    )
  `)
  tx.run(sql`
    DELETE FROM device_outbox WHERE destination = ${destination} AND kind = 'message'
    AND stream <= (
      SELECT stream FROM device_outbox WHERE destination = ${destination} AND kind = 'message'
      ORDER BY stream DESC LIMIT 1 OFFSET ${messages}
    )
  `)
}
