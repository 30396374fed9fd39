/**
 * The devices of other servers' users, as their servers told us: kept while they share a room with a
 * user of ours, since so long their server tells us what is new.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#device-management
 *
 * @module
 */

import type { RoomId, UserId } from '#protocol/identifiers/ids.ts'
import { type Reader, sql, texts, type Writer } from './database.ts'

export interface RemoteDeviceListRow {
  readonly user_id: UserId
  /** The newest of their server's that we have seen. */
  readonly stream_id: number
  /** A JSON list of those before it. */
  readonly seen: string
  /** 1 if an update was missed. */
  readonly stale: number
  readonly master_key_json: string | null
  readonly self_signing_key_json: string | null
}

export interface RemoteDeviceRow {
  readonly device_id: string
  readonly keys_json: string
  readonly display_name: string | null
}

export async function remoteDeviceLists(
  db: Reader,
  userIds: readonly UserId[],
): Promise<RemoteDeviceListRow[]> {
  return await db.all<RemoteDeviceListRow>(sql`
    SELECT user_id, stream_id, seen, stale, master_key_json, self_signing_key_json
    FROM remote_device_lists WHERE user_id IN ${texts(userIds)} ORDER BY user_id
  `)
}

export async function remoteDevicesOf(
  db: Reader,
  userIds: readonly UserId[],
): Promise<(RemoteDeviceRow & { readonly user_id: UserId })[]> {
  return await db.all(sql`
    SELECT user_id, device_id, keys_json, display_name FROM remote_devices
    WHERE user_id IN ${texts(userIds)} ORDER BY user_id, device_id
  `)
}

/** Some of the users whose lists are to be fetched again. */
export async function staleDeviceLists(db: Reader, limit: number): Promise<UserId[]> {
  const rows = await db.all<{ user_id: UserId }>(sql`
    SELECT user_id FROM remote_device_lists WHERE stale = 1 ORDER BY user_id LIMIT ${limit}
  `)
  return rows.map((row) => row.user_id)
}

/** Users whose lists we keep and who are, or were, in a room. */
export async function listedMembersOf(db: Reader, roomId: RoomId): Promise<UserId[]> {
  const rows = await db.all<{ user_id: UserId }>(sql`
    SELECT remote_device_lists.user_id FROM rooms
    JOIN state_keys ON state_keys.room_nid = rooms.room_nid
    JOIN remote_device_lists ON remote_device_lists.user_id = state_keys.state_key
    WHERE rooms.room_id = ${roomId} AND state_keys.type = 'm.room.member'
    ORDER BY remote_device_lists.user_id
  `)
  return rows.map((row) => row.user_id)
}

export function setRemoteDeviceList(tx: Writer, row: RemoteDeviceListRow): void {
  tx.run(sql`
    INSERT INTO remote_device_lists
      (user_id, stream_id, seen, stale, master_key_json, self_signing_key_json)
    VALUES (${row.user_id}, ${row.stream_id}, ${row.seen}, ${row.stale}, ${row.master_key_json},
      ${row.self_signing_key_json})
    ON CONFLICT (user_id) DO UPDATE SET stream_id = excluded.stream_id, seen = excluded.seen,
      stale = excluded.stale, master_key_json = excluded.master_key_json,
      self_signing_key_json = excluded.self_signing_key_json
  `)
}

export function setStale(tx: Writer, userId: UserId): void {
  tx.run(sql`UPDATE remote_device_lists SET stale = 1 WHERE user_id = ${userId}`)
}

export function setRemoteDevice(tx: Writer, userId: UserId, row: RemoteDeviceRow): void {
  tx.run(sql`
    INSERT INTO remote_devices (user_id, device_id, keys_json, display_name)
    VALUES (${userId}, ${row.device_id}, ${row.keys_json}, ${row.display_name})
    ON CONFLICT (user_id, device_id) DO UPDATE
    SET keys_json = excluded.keys_json, display_name = excluded.display_name
  `)
}

export function deleteRemoteDevice(tx: Writer, userId: UserId, deviceId: string): void {
  tx.run(sql`DELETE FROM remote_devices WHERE user_id = ${userId} AND device_id = ${deviceId}`)
}

export function deleteRemoteDevices(tx: Writer, userId: UserId): void {
  tx.run(sql`DELETE FROM remote_devices WHERE user_id = ${userId}`)
}

/** Forgets a user of whom nobody tells us any longer. */
export function deleteRemoteDeviceList(tx: Writer, userId: UserId): void {
  deleteRemoteDevices(tx, userId)
  tx.run(sql`DELETE FROM remote_device_lists WHERE user_id = ${userId}`)
}
