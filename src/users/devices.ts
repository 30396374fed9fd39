/**
 * A user's devices, as their owner sees them.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#device-management
 *
 * @module
 */

import type { UserId } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Database } from '#storage/database.ts'
import {
  type DeviceRow,
  deleteDevices,
  deviceOf,
  devicesOf,
  renameDevice,
} from '#storage/devices.ts'
import type { DeviceLists } from './end-to-end/device-lists.ts'
import type { Sessions } from './sessions.ts'

const displayNameLengthMax = 100

/** A device as the client API shows it. */
export interface ClientDevice {
  readonly device_id: string
  readonly display_name?: string
  readonly last_seen_ip?: string
  readonly last_seen_ts?: number
}

export interface Devices {
  list(userId: UserId): Promise<ClientDevice[]>
  /** Throws 404 if the user has no such device. */
  get(userId: UserId, deviceId: string): Promise<ClientDevice>
  /** Throws 404 if the user has no such device. */
  rename(userId: UserId, deviceId: string, displayName: string): Promise<void>
  /** Deletes devices with their tokens and keys. Those there are not are deleted already. */
  delete(userId: UserId, deviceIds: readonly string[]): Promise<void>
}

export function createDevices(needs: {
  readonly db: Database
  readonly sessions: Pick<Sessions, 'forgetTokens'>
  readonly deviceLists: Pick<DeviceLists, 'announce'>
}): Devices {
  const { db, sessions, deviceLists } = needs
  const get: Devices['get'] = async (userId, deviceId) => {
    const row = await deviceOf(db, userId, deviceId)
    if (row === undefined) throw new MatrixError(404, 'M_NOT_FOUND', 'You have no such device.')
    return clientDevice(row)
  }
  return {
    get,
    list: async (userId) => (await devicesOf(db, userId)).map(clientDevice),
    rename: async (userId, deviceId, displayName) => {
      await get(userId, deviceId)
      const name = displayName.replaceAll('\0', '').slice(0, displayNameLengthMax)
      await db.write((tx) => renameDevice(tx, { userId, deviceId }, name))
      await deviceLists.announce(userId)
    },
    delete: async (userId, deviceIds) => {
      await db.write((tx) => deleteDevices(tx, userId, deviceIds))
      sessions.forgetTokens(userId)
      await deviceLists.announce(userId)
    },
  }
}

function clientDevice(row: DeviceRow): ClientDevice {
  return {
    device_id: row.device_id,
    ...(row.display_name !== null && { display_name: row.display_name }),
    ...(row.last_seen_ip !== null && { last_seen_ip: row.last_seen_ip }),
    ...(row.last_seen_ts !== null && { last_seen_ts: row.last_seen_ts }),
  }
}
