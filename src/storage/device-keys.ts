/**
 * The keys of devices: those that say who they are, those that are given to one asker only, and those
 * that are given when none of these is left.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#key-distribution
 *
 * @module
 */

import type { UserId } from '#protocol/identifiers/ids.ts'
import { deleteSignaturesOfDevices } from './cross-signing.ts'
import { type Reader, sql, texts, type Writer } from './database.ts'
import { noteChangeOfDevice } from './device-lists.ts'

/** Which device of this server. */
export interface DeviceRef {
  readonly userId: UserId
  readonly deviceId: string
}

export interface DeviceKeysRow {
  readonly user_id: UserId
  readonly device_id: string
  readonly keys_json: string
  readonly display_name: string | null
}

/** The keys of all devices of these users that have any. */
export async function deviceKeysOf(
  db: Reader,
  userIds: readonly UserId[],
): Promise<DeviceKeysRow[]> {
  return await db.all<DeviceKeysRow>(sql`
    SELECT device_keys.user_id, device_keys.device_id, keys_json, display_name FROM device_keys
    JOIN devices ON devices.user_id = device_keys.user_id
      AND devices.device_id = device_keys.device_id
    WHERE device_keys.user_id IN ${texts(userIds)}
    ORDER BY device_keys.user_id, device_keys.device_id
  `)
}

/** The keys of one device as they were uploaded. */
export async function keysOfDevice(
  db: Reader,
  { userId, deviceId }: DeviceRef,
): Promise<string | undefined> {
  const row = await db.first<{ keys_json: string }>(sql`
    SELECT keys_json FROM device_keys WHERE user_id = ${userId} AND device_id = ${deviceId}
  `)
  return row?.keys_json
}

export function setDeviceKeys(tx: Writer, { userId, deviceId }: DeviceRef, keysJson: string): void {
  tx.run(sql`
    INSERT INTO device_keys (user_id, device_id, keys_json)
    VALUES (${userId}, ${deviceId}, ${keysJson})
    ON CONFLICT (user_id, device_id) DO UPDATE SET keys_json = excluded.keys_json
  `)
  noteChangeOfDevice(tx, { userId, deviceId })
}

/** Forgets what was signed by keys that the device has no longer, and what was signed of these. */
export function deleteSignedKeys(tx: Writer, { userId, deviceId }: DeviceRef): void {
  tx.run(sql`DELETE FROM one_time_keys WHERE user_id = ${userId} AND device_id = ${deviceId}`)
  tx.run(sql`DELETE FROM fallback_keys WHERE user_id = ${userId} AND device_id = ${deviceId}`)
  deleteSignaturesOfDevices(tx, userId, sql`device_id = ${deviceId}`)
}

export interface UploadedKey {
  readonly algorithm: string
  readonly key_id: string
  readonly key_json: string
}

/** All one-time keys of a device, also those that were given to somebody, by algorithm and ID. */
export async function oneTimeKeysOf(
  db: Reader,
  { userId, deviceId }: DeviceRef,
): Promise<(UploadedKey & { readonly place: number; readonly claimed: number })[]> {
  return await db.all(sql`
    SELECT algorithm, key_id, key_json, place, claimed FROM one_time_keys
    WHERE user_id = ${userId} AND device_id = ${deviceId}
  `)
}

/** Adds one-time keys that the device has not had before. `place` is larger than any of before. */
export function addOneTimeKeys(
  tx: Writer,
  { userId, deviceId }: DeviceRef,
  { keys, place }: { readonly keys: readonly UploadedKey[]; readonly place: number },
): void {
  for (const { algorithm, key_id, key_json } of keys) {
    tx.run(sql`
      INSERT INTO one_time_keys
        (user_id, device_id, algorithm, key_id, key_json, place, claimed)
      VALUES (${userId}, ${deviceId}, ${algorithm}, ${key_id}, ${key_json}, ${place}, ${0})
      ON CONFLICT DO NOTHING
    `)
  }
}

/** Forgets the oldest of the keys that were given to somebody. */
export function forgetClaimedKeys(tx: Writer, { userId, deviceId }: DeviceRef, keep: number): void {
  tx.run(sql`
    DELETE FROM one_time_keys WHERE user_id = ${userId} AND device_id = ${deviceId}
    AND claimed = 1 AND place <= (
      SELECT place FROM one_time_keys WHERE user_id = ${userId} AND device_id = ${deviceId}
      AND claimed = 1 ORDER BY place DESC LIMIT 1 OFFSET ${keep}
    )
  `)
}

/** How many one-time keys of each algorithm a device has left. */
export async function oneTimeKeyCounts(
  db: Reader,
  { userId, deviceId }: DeviceRef,
): Promise<Map<string, number>> {
  const rows = await db.all<{ algorithm: string; count: number }>(sql`
    SELECT algorithm, COUNT(*) AS count FROM one_time_keys
    WHERE user_id = ${userId} AND device_id = ${deviceId} AND claimed = 0
    GROUP BY algorithm ORDER BY algorithm
  `)
  return new Map(rows.map(({ algorithm, count }) => [algorithm, Number(count)]))
}

/** Sets the fallback key of an algorithm. One that is the same as before stays used if it was. */
export function setFallbackKey(
  tx: Writer,
  { userId, deviceId }: DeviceRef,
  { algorithm, key_id, key_json }: UploadedKey,
): void {
  tx.run(sql`
    INSERT INTO fallback_keys (user_id, device_id, algorithm, key_id, key_json, used)
    VALUES (${userId}, ${deviceId}, ${algorithm}, ${key_id}, ${key_json}, ${0})
    ON CONFLICT (user_id, device_id, algorithm) DO UPDATE
    SET key_id = excluded.key_id, key_json = excluded.key_json, used = ${0}
    WHERE fallback_keys.key_id <> excluded.key_id OR fallback_keys.key_json <> excluded.key_json
  `)
}

export async function fallbackKeysOf(
  db: Reader,
  { userId, deviceId }: DeviceRef,
): Promise<{ readonly algorithm: string; readonly used: number }[]> {
  return await db.all(sql`
    SELECT algorithm, used FROM fallback_keys
    WHERE user_id = ${userId} AND device_id = ${deviceId} ORDER BY algorithm
  `)
}

/**
 * Takes a key of a device: a one-time key, which nobody is ever given again, of those uploaded first;
 * or the fallback key. It is there once the unit is committed: none if there is none.
 */
export function claimKey(
  tx: Writer,
  { userId, deviceId }: DeviceRef,
  algorithm: string,
): Promise<Pick<UploadedKey, 'key_id' | 'key_json'> | undefined> {
  const left = sql`
    SELECT key_id FROM one_time_keys WHERE user_id = ${userId} AND device_id = ${deviceId}
    AND claimed = 0 AND algorithm = ${algorithm} ORDER BY place, key_id LIMIT 1
  `
  // The returned key is a one-time key if one is available, and otherwise a fallback key.
  const fallback = tx.returning<UploadedKey>(sql`
    UPDATE fallback_keys SET used = 1 WHERE user_id = ${userId} AND device_id = ${deviceId}
    AND algorithm = ${algorithm} AND NOT EXISTS (${left}) RETURNING key_id, key_json
  `)
  const oneTime = tx.returning<UploadedKey>(sql`
    UPDATE one_time_keys SET claimed = 1 WHERE user_id = ${userId} AND device_id = ${deviceId}
    AND algorithm = ${algorithm} AND key_id IN (${left}) RETURNING key_id, key_json
  `)
  return Promise.all([oneTime, fallback]).then(([[first], [last]]) => first ?? last)
}
