/**
 * Dehydrated devices: a user's device that nobody is logged in on. While the user has no other, it gets
 * the keys of what is written to them; the next device that logs in makes it a device again, and reads
 * what it got.
 *
 * https://github.com/matrix-org/matrix-spec-proposals/pull/3814
 *
 * @module
 */

import type { Clock } from '#io/clock.ts'
import { Turns } from '#io/turns.ts'
import type { UserId } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import { type Database, UnitFailed } from '#storage/database.ts'
import { addDehydratedDevice, dehydratedDeviceOf } from '#storage/dehydrated-devices.ts'
import { deleteDevices, expectNoSigningKey } from '#storage/devices.ts'
import type { Streams } from '#storage/streams.ts'
import type { ToDeviceMessage } from '#storage/to-device.ts'
import type { ToDevice } from '../to-device.ts'
import type { KeyUpload, LocalKeys } from './device-keys.ts'
import type { DeviceLists } from './device-lists.ts'
import { parseStored, storedJson } from './stored-keys.ts'

const deviceDataBytesMax = 65_536
const displayNameLengthMax = 100

export interface NewDehydratedDevice {
  readonly deviceId: string
  readonly displayName: string | undefined
  readonly deviceData: JsonObject
  readonly keys: KeyUpload
}

export interface DehydratedDevice {
  readonly device_id: string
  readonly device_data: JsonObject
}

export interface DehydratedEvents {
  readonly messages: readonly ToDeviceMessage[]
  /** Up to where in the stream these reach. */
  readonly upTo: number
  /** Whether there are more. */
  readonly isLimited: boolean
}

export interface DehydratedDevices {
  /** Sets the user's dehydrated device with its keys; the one before it is deleted. */
  set(userId: UserId, device: NewDehydratedDevice): Promise<void>
  /** Throws 404 if there is none. */
  get(userId: UserId): Promise<DehydratedDevice>
  /** Deletes it, and gives its ID. Throws 404 if there is none. */
  delete(userId: UserId): Promise<string>
  /**
   * What the device got after a position. It is kept until the device is deleted, so that who fails on
   * the way can begin again. Throws 403 for any other device.
   */
  events(userId: UserId, deviceId: string, from: number): Promise<DehydratedEvents>
}

export interface DehydratedDeviceNeeds {
  readonly db: Database
  readonly clock: Pick<Clock, 'now'>
  readonly streams: Pick<Streams, 'settled'>
  readonly localKeys: Pick<LocalKeys, 'uploadOfNew'>
  readonly toDevice: Pick<ToDevice, 'waiting'>
  readonly deviceLists: Pick<DeviceLists, 'announce'>
}

export function createDehydratedDevices(needs: DehydratedDeviceNeeds): DehydratedDevices {
  const { db, streams, toDevice, deviceLists } = needs
  const turns = new Turns('dehydrated devices')
  const found = async (userId: UserId) => {
    const row = await dehydratedDeviceOf(db, userId)
    if (row !== undefined) return row
    throw new MatrixError(404, 'M_NOT_FOUND', 'There is no dehydrated device.')
  }
  return {
    set: (userId, device) => turns.run(userId, () => set(needs, userId, device)),
    get: async (userId) => {
      const { device_id, device_data_json } = await found(userId)
      return { device_id, device_data: parseStored(device_data_json) }
    },
    delete: (userId) =>
      turns.run(userId, async () => {
        const { device_id } = await found(userId)
        await db.write((tx) => deleteDevices(tx, userId, [device_id]))
        await deviceLists.announce(userId)
        return device_id
      }),
    events: async (userId, deviceId, from) => {
      const row = await dehydratedDeviceOf(db, userId)
      if (row?.device_id !== deviceId) {
        throw new MatrixError(403, 'M_FORBIDDEN', 'This is not your dehydrated device.')
      }
      const to = streams.settled()
      const range = { from: Math.min(from, to), to }
      const { messages, upTo } = await toDevice.waiting({ userId, deviceId }, range)
      return { messages, upTo, isLimited: upTo < to }
    },
  }
}

async function set(
  { db, clock, localKeys }: DehydratedDeviceNeeds,
  userId: UserId,
  { deviceId, displayName, deviceData, keys }: NewDehydratedDevice,
): Promise<void> {
  const deviceDataJson = storedJson(deviceData, deviceDataBytesMax)
  const before = await dehydratedDeviceOf(db, userId)
  const device = {
    userId,
    deviceId,
    displayName: displayName?.replaceAll('\0', '').slice(0, displayNameLengthMax),
    deviceDataJson,
    now: clock.now(),
  }
  await localKeys
    .uploadOfNew({ userId, deviceId }, keys, (tx) => {
      if (before !== undefined) deleteDevices(tx, userId, [before.device_id])
      expectNoSigningKey(tx, userId, deviceId)
      addDehydratedDevice(tx, device)
    })
    .catch(asIdInUse)
}

function asIdInUse(error: unknown): never {
  if (!(error instanceof UnitFailed) || error.kind !== 'expectation') throw error
  const problem = 'You have another device, or a cross-signing key, with this ID.'
  throw new MatrixError(400, 'M_INVALID_PARAM', problem, { cause: error })
}
