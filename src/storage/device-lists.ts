/**
 * Changes of users' devices and keys, and when they were told.
 *
 * @module
 */

import type { UserId } from '#protocol/identifiers/ids.ts'
import { type Reader, type Sql, sql, type Writer } from './database.ts'
import type { DeviceRef } from './device-keys.ts'

export interface DeviceChange {
  readonly device_id: string
  /** 1 if clients are to be told, since the device has, or had, keys. */
  readonly has_keys: number
}

/** Notes a change of devices that there are. `which` is a condition on `devices`. */
export function noteDeviceChange(tx: Writer, userId: UserId, which: Sql): void {
  tx.run(sql`
    INSERT INTO device_changes (user_id, device_id, has_keys)
    SELECT user_id, device_id, CASE WHEN EXISTS (
      SELECT 1 FROM device_keys WHERE device_keys.user_id = devices.user_id
      AND device_keys.device_id = devices.device_id
    ) THEN 1 ELSE 0 END FROM devices WHERE user_id = ${userId} AND ${which}
    ON CONFLICT (user_id, device_id) DO UPDATE SET has_keys =
      CASE WHEN device_changes.has_keys = 1 THEN 1 ELSE excluded.has_keys END
  `)
}

/** Notes a change of one device. */
export function noteChangeOfDevice(tx: Writer, { userId, deviceId }: DeviceRef): void {
  noteDeviceChange(tx, userId, sql`device_id = ${deviceId}`)
}

/** Notes that there will be a device, unless there is. */
export function noteNewDevice(tx: Writer, { userId, deviceId }: DeviceRef): void {
  tx.run(sql`
    INSERT INTO device_changes (user_id, device_id, has_keys)
    SELECT CAST(${userId} AS TEXT), CAST(${deviceId} AS TEXT), 0 WHERE NOT EXISTS (
      SELECT 1 FROM devices WHERE user_id = ${userId} AND device_id = ${deviceId}
    ) ON CONFLICT DO NOTHING
  `)
}

/** What of a user nobody was told of yet. */
export async function untoldDeviceChanges(db: Reader, userId: UserId): Promise<DeviceChange[]> {
  return await db.all<DeviceChange>(sql`
    SELECT device_id, has_keys FROM device_changes WHERE user_id = ${userId} ORDER BY device_id
  `)
}

export async function usersWithUntoldChanges(db: Reader): Promise<UserId[]> {
  const rows = await db.all<{ user_id: UserId }>(sql`
    SELECT DISTINCT user_id FROM device_changes ORDER BY user_id
  `)
  return rows.map((row) => row.user_id)
}

export function forgetDeviceChange(tx: Writer, { userId, deviceId }: DeviceRef): void {
  tx.run(sql`DELETE FROM device_changes WHERE user_id = ${userId} AND device_id = ${deviceId}`)
}

/** Tells clients that a user, of any server, has other keys. */
export function touchDeviceList(tx: Writer, userId: UserId, stream: number): void {
  tx.run(sql`
    INSERT INTO device_lists (user_id, stream) VALUES (${userId}, ${stream})
    ON CONFLICT (user_id) DO UPDATE SET stream = excluded.stream
  `)
}

/** The users whose keys changed after a position. */
export async function deviceListsChangedSince(db: Reader, stream: number): Promise<UserId[]> {
  const rows = await db.all<{ user_id: UserId }>(sql`
    SELECT user_id FROM device_lists WHERE stream > ${stream} ORDER BY stream, user_id
  `)
  return rows.map((row) => row.user_id)
}

/** One change of a user's devices, as other servers are told of it. */
export interface DeviceListUpdate {
  readonly stream: number
  /** The update before it, if there is one. */
  readonly prev: number | null
  readonly device_id: string
}

export function addDeviceListUpdate(tx: Writer, userId: UserId, update: DeviceListUpdate): void {
  tx.run(sql`
    INSERT INTO device_list_updates (user_id, stream, prev, device_id)
    VALUES (${userId}, ${update.stream}, ${update.prev}, ${update.device_id})
  `)
}

/** Keeps only the newest updates of a user. */
export function trimDeviceListUpdates(tx: Writer, userId: UserId, keep: number): void {
  tx.run(sql`
    DELETE FROM device_list_updates WHERE user_id = ${userId} AND stream <= (
      SELECT stream FROM device_list_updates WHERE user_id = ${userId}
      ORDER BY stream DESC LIMIT 1 OFFSET ${keep}
    )
  `)
}

export async function deviceListUpdate(
  db: Reader,
  userId: UserId,
  stream: number,
): Promise<DeviceListUpdate | undefined> {
  return await db.first<DeviceListUpdate>(sql`
    SELECT stream, prev, device_id FROM device_list_updates
    WHERE user_id = ${userId} AND stream = ${stream}
  `)
}

/** The newest update of a user's devices. */
export async function lastDeviceListUpdate(
  db: Reader,
  userId: UserId,
): Promise<DeviceListUpdate | undefined> {
  return await db.first<DeviceListUpdate>(sql`
    SELECT stream, prev, device_id FROM device_list_updates
    WHERE user_id = ${userId} ORDER BY stream DESC LIMIT 1
  `)
}

/** Up to where in the stream it has been looked at who shares a room with whom. */
export async function encountersLookedAt(db: Reader): Promise<number | undefined> {
  const row = await db.first<{ looked_at: number }>(sql`
    SELECT looked_at FROM encounters WHERE id = 1
  `)
  return row?.looked_at
}

export function setEncountersLookedAt(tx: Writer, stream: number): void {
  tx.run(sql`
    INSERT INTO encounters (id, looked_at) VALUES (1, ${stream})
    ON CONFLICT (id) DO UPDATE SET looked_at = excluded.looked_at
  `)
}
