/**
 * Devices that nobody is logged in on; each user has at most one.
 *
 * @module
 */

import type { UserId } from '#protocol/identifiers/ids.ts'
import { type Reader, sql, type Writer } from './database.ts'
import { noteNewDevice } from './device-lists.ts'

export interface DehydratedDeviceRow {
  readonly device_id: string
  /** What the client needs to make it a device again. */
  readonly device_data_json: string
}

export async function dehydratedDeviceOf(
  db: Reader,
  userId: UserId,
): Promise<DehydratedDeviceRow | undefined> {
  return await db.first<DehydratedDeviceRow>(sql`
    SELECT device_id, device_data_json FROM dehydrated_devices WHERE user_id = ${userId}
  `)
}

/** Adds a device that nobody is logged in on. The unit fails if the user has one with this ID. */
export function addDehydratedDevice(
  tx: Writer,
  device: {
    readonly userId: UserId
    readonly deviceId: string
    readonly displayName: string | undefined
    readonly deviceDataJson: string
    readonly now: number
  },
): void {
  const { userId, deviceId } = device
  noteNewDevice(tx, device)
  tx.expect(
    sql`
      INSERT INTO devices (user_id, device_id, display_name, created_ts)
      VALUES (${userId}, ${deviceId}, ${device.displayName ?? null}, ${device.now})
      ON CONFLICT DO NOTHING
    `,
    'there is a device with this ID',
  )
  tx.run(sql`
    INSERT INTO dehydrated_devices (user_id, device_id, device_data_json)
    VALUES (${userId}, ${deviceId}, ${device.deviceDataJson})
  `)
}
