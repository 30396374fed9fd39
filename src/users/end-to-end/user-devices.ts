/**
 * The devices of a user of this server, all at once, for another server that begins to follow them or
 * has missed something.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1userdevicesuserid
 *
 * @module
 */

import type { UserDevices } from '#federation/user-keys.ts'
import type { UserId } from '#protocol/identifiers/ids.ts'
import { isJsonObject } from '#protocol/json.ts'
import type { Reader } from '#storage/database.ts'
import { lastDeviceListUpdate } from '#storage/device-lists.ts'
import type { LocalKeys } from './device-keys.ts'

export async function userDevices(
  { db, localKeys }: { readonly db: Reader; readonly localKeys: Pick<LocalKeys, 'query'> },
  userId: UserId,
): Promise<UserDevices | undefined> {
  // Read first: what has changed since then is in the list, and is told once more afterwards.
  const last = await lastDeviceListUpdate(db, userId)
  const found = (await localKeys.query(new Map([[userId, []]]))).get(userId)
  if (found === undefined) return undefined
  const devices = Object.entries(found.devices).map(([device_id, shown]) => {
    const { unsigned, ...keys } = shown
    const name = isJsonObject(unsigned) ? unsigned.device_display_name : undefined
    return { device_id, keys, ...(name !== undefined && { device_display_name: name }) }
  })
  const { masterKey, selfSigningKey } = found
  return {
    user_id: userId,
    stream_id: last?.stream ?? 0,
    devices,
    ...(masterKey !== undefined && { master_key: masterKey }),
    ...(selfSigningKey !== undefined && { self_signing_key: selfSigningKey }),
  }
}
