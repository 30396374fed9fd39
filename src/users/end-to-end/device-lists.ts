/**
 * Tells others when a user's devices or their keys change.
 *
 * Whoever changes them notes so in the same commit. To tell is a second step, since it depends on
 * which rooms the user is in: it takes the change's place in the stream, and what a crash cut short is
 * told after the next start.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#tracking-the-device-list-for-a-user
 *
 * @module
 */

import type { RoomId, UserId } from '#protocol/identifiers/ids.ts'
import type { Rooms } from '#rooms/rooms.ts'
import type { Database } from '#storage/database.ts'
import {
  forgetDeviceChange,
  touchDeviceList,
  untoldDeviceChanges,
  usersWithUntoldChanges,
} from '#storage/device-lists.ts'
import type { Streams } from '#storage/streams.ts'
import { Turns } from '../turns.ts'

/** Called with a user whose keys changed, the rooms they are in, and where in the stream that is. */
export type DeviceListListener = (
  userId: UserId,
  roomIds: readonly RoomId[],
  stream: number,
) => void

export interface DeviceLists {
  /** Tells what has changed of a user's devices, if anything. */
  announce(userId: UserId): Promise<void>
  /** Tells what was left untold when the server ended. */
  resume(): Promise<void>
  onChange(listener: DeviceListListener): void
}

export interface DeviceListNeeds {
  readonly db: Database
  readonly streams: Pick<Streams, 'write'>
  readonly rooms: Pick<Rooms, 'membershipsOf'>
}

export function createDeviceLists(needs: DeviceListNeeds): DeviceLists {
  const { db } = needs
  const turns = new Turns()
  const listeners: DeviceListListener[] = []
  const announce = (userId: UserId) => turns.run(userId, () => tell(needs, userId, listeners))
  return {
    announce,
    resume: async () => {
      for (const userId of await usersWithUntoldChanges(db)) await announce(userId)
    },
    onChange: (listener) => {
      listeners.push(listener)
    },
  }
}

async function tell(
  { db, streams, rooms }: DeviceListNeeds,
  userId: UserId,
  listeners: readonly DeviceListListener[],
): Promise<void> {
  const changes = await untoldDeviceChanges(db, userId)
  if (changes.length === 0) return
  const memberships = await rooms.membershipsOf(userId)
  const hasKeys = changes.some(({ has_keys }) => has_keys === 1)
  const stream = await streams.write(changes.length, (tx, first) => {
    const last = first + changes.length - 1
    for (const { device_id: deviceId } of changes) forgetDeviceChange(tx, { userId, deviceId })
    if (hasKeys) touchDeviceList(tx, userId, last)
    return last
  })
  if (!hasKeys) return
  const joined = memberships.filter(({ membership }) => membership === 'join')
  const roomIds = joined.map(({ roomId }) => roomId)
  for (const listener of listeners) listener(userId, roomIds, stream)
}
