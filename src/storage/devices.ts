/**
 * The devices of users, and all that goes with a device when it is deleted.
 *
 * @module
 */

import type { UserId } from '#protocol/identifiers/ids.ts'
import { deleteSignaturesOfDevices } from './cross-signing.ts'
import { type Reader, type Sql, sql, texts, type Writer } from './database.ts'
import { noteChangeOfDevice, noteDeviceChange, noteNewDevice } from './device-lists.ts'
import { deleteConnectionsOfDevices } from './sliding-sync.ts'

export interface DeviceRow {
  readonly device_id: string
  readonly display_name: string | null
  readonly last_seen_ip: string | null
  readonly last_seen_ts: number | null
}

/** Adds a device unless the user has it. The name of one that is there stays. */
export function addDevice(
  tx: Writer,
  device: {
    readonly userId: UserId
    readonly deviceId: string
    readonly displayName: string | undefined
    readonly now: number
  },
): void {
  noteNewDevice(tx, device)
  tx.run(sql`
    INSERT INTO devices (user_id, device_id, display_name, created_ts)
    VALUES (${device.userId}, ${device.deviceId}, ${device.displayName ?? null}, ${device.now})
    ON CONFLICT DO NOTHING
  `)
}

/** How many devices a user has beside this one. */
export async function countOtherDevices(
  db: Reader,
  userId: UserId,
  deviceId: string,
): Promise<number> {
  const row = await db.first<{ count: number }>(sql`
    SELECT COUNT(*) AS count FROM devices WHERE user_id = ${userId} AND device_id <> ${deviceId}
  `)
  return Number(row?.count ?? 0)
}

/** A user's devices, the oldest first. */
export async function devicesOf(db: Reader, userId: UserId): Promise<DeviceRow[]> {
  return await db.all<DeviceRow>(sql`
    SELECT device_id, display_name, last_seen_ip, last_seen_ts FROM devices
    WHERE user_id = ${userId} ORDER BY created_ts, device_id
  `)
}

export async function deviceOf(
  db: Reader,
  userId: UserId,
  deviceId: string,
): Promise<DeviceRow | undefined> {
  return await db.first<DeviceRow>(sql`
    SELECT device_id, display_name, last_seen_ip, last_seen_ts FROM devices
    WHERE user_id = ${userId} AND device_id = ${deviceId}
  `)
}

export function renameDevice(
  tx: Writer,
  { userId, deviceId }: { readonly userId: UserId; readonly deviceId: string },
  displayName: string,
): void {
  noteChangeOfDevice(tx, { userId, deviceId })
  tx.run(sql`
    UPDATE devices SET display_name = ${displayName}
    WHERE user_id = ${userId} AND device_id = ${deviceId}
  `)
}

/** Notes from where and when a device was used. */
export function seeDevice(
  tx: Writer,
  device: {
    readonly userId: UserId
    readonly deviceId: string
    readonly ip: string
    readonly now: number
  },
): void {
  tx.run(sql`
    UPDATE devices SET last_seen_ip = ${device.ip}, last_seen_ts = ${device.now}
    WHERE user_id = ${device.userId} AND device_id = ${device.deviceId}
  `)
}

/** Makes the unit fail unless the device is still there. */
export function expectDevice(tx: Writer, userId: UserId, deviceId: string): void {
  tx.expect(
    sql`
      UPDATE devices SET created_ts = created_ts
      WHERE user_id = ${userId} AND device_id = ${deviceId}
    `,
    'the device has been deleted',
  )
}

/** Makes the unit fail if one of the user's cross-signing keys has this ID. */
export function expectNoSigningKey(tx: Writer, userId: UserId, deviceId: string): void {
  expectNone(tx, userId, {
    found: sql`
      SELECT 1 FROM cross_signing_keys WHERE user_id = ${userId} AND public_key = ${deviceId}
    `,
    otherwise: 'a cross-signing key has the ID of the device',
  })
}

/** Makes the unit fail if it is a device that nobody can log in on. */
export function expectNotDehydrated(tx: Writer, userId: UserId, deviceId: string): void {
  expectNone(tx, userId, {
    found: sql`
      SELECT 1 FROM dehydrated_devices WHERE user_id = ${userId} AND device_id = ${deviceId}
    `,
    otherwise: 'the device is dehydrated',
  })
}

function expectNone(
  tx: Writer,
  userId: UserId,
  { found, otherwise }: { readonly found: Sql; readonly otherwise: string },
): void {
  tx.expect(
    sql`
      UPDATE accounts SET created_ts = created_ts
      WHERE user_id = ${userId} AND NOT EXISTS (${found})
    `,
    otherwise,
  )
}

/** Deletes devices with their tokens and all that others could send them by. */
export function deleteDevices(tx: Writer, userId: UserId, deviceIds: readonly string[]): void {
  deleteWhere(tx, userId, sql`device_id IN ${texts(deviceIds)}`)
}

/** Deletes all devices of a user. */
export function deleteAllDevices(tx: Writer, userId: UserId): void {
  deleteWhere(tx, userId, sql`device_id <> ''`)
}

/** Deletes all devices that somebody can be logged in on, but `except` if it is given. */
export function deleteLoggedInDevices(
  tx: Writer,
  userId: UserId,
  except: string | undefined,
): void {
  const dehydrated = sql`SELECT device_id FROM dehydrated_devices WHERE user_id = ${userId}`
  deleteWhere(tx, userId, sql`device_id <> ${except ?? ''} AND device_id NOT IN (${dehydrated})`)
}

function deleteWhere(tx: Writer, userId: UserId, which: Sql): void {
  noteDeviceChange(tx, userId, which)
  deleteSignaturesOfDevices(tx, userId, which)
  tx.run(sql`DELETE FROM tokens WHERE user_id = ${userId} AND ${which}`)
  tx.run(sql`DELETE FROM device_keys WHERE user_id = ${userId} AND ${which}`)
  tx.run(sql`DELETE FROM one_time_keys WHERE user_id = ${userId} AND ${which}`)
  tx.run(sql`DELETE FROM fallback_keys WHERE user_id = ${userId} AND ${which}`)
  tx.run(sql`DELETE FROM to_device_messages WHERE user_id = ${userId} AND ${which}`)
  tx.run(sql`DELETE FROM to_device_sends WHERE user_id = ${userId} AND ${which}`)
  tx.run(sql`DELETE FROM dehydrated_devices WHERE user_id = ${userId} AND ${which}`)
  deleteConnectionsOfDevices(tx, userId, which)
  tx.run(sql`DELETE FROM pushers WHERE user_id = ${userId} AND ${which}`)
  tx.run(sql`DELETE FROM devices WHERE user_id = ${userId} AND ${which}`)
}
