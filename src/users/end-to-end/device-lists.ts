/**
 * Tells others when a user's devices, their keys or the user's cross-signing keys change.
 *
 * Whoever changes them notes so in the same commit. To tell is a second step, since it depends on
 * which rooms the user is in: it takes the change's place in the stream, and what a crash cut short is
 * told after the next start.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#tracking-the-device-list-for-a-user
 *
 * @module
 */

import type { EduSender } from '#federation/edus.ts'
import { Turns } from '#io/turns.ts'
import type { RoomId, ServerName, UserId } from '#protocol/identifiers/ids.ts'
import type { Rooms } from '#rooms/rooms.ts'
import {
  crossSigningKeysOf,
  forgetSigningKeyChange,
  hasUntoldSigningKeys,
  usersWithUntoldSigningKeys,
} from '#storage/cross-signing.ts'
import type { Database, Writer } from '#storage/database.ts'
import {
  addDeviceListUpdate,
  forgetDeviceChange,
  lastDeviceListUpdate,
  touchDeviceList,
  trimDeviceListUpdates,
  untoldDeviceChanges,
  usersWithUntoldChanges,
} from '#storage/device-lists.ts'
import { addToDeviceOutbox } from '#storage/device-outbox.ts'
import type { Streams } from '#storage/streams.ts'

/** Called with a user whose keys changed, the rooms they are in, and where in the stream that is. */
export type DeviceListListener = (
  userId: UserId,
  roomIds: readonly RoomId[],
  stream: number,
) => void

export interface DeviceLists {
  /** Tells what has changed of a user's devices and keys, if anything. */
  announce(userId: UserId): Promise<void>
  /**
   * Tells servers of a user's devices and keys that have not heard of them, or not of all: from the last
   * update they see what they lack, and ask for it.
   */
  tellServers(userId: UserId, servers: readonly ServerName[]): Promise<void>
  /** Tells clients that the keys of a user, of any server, are others now. */
  tellClients(userId: UserId, roomIds: readonly RoomId[], stream: number): void
  /** Tells what was left untold when the server ended. */
  resume(): Promise<void>
  onChange(listener: DeviceListListener): void
}

export interface DeviceListNeeds {
  readonly db: Database
  readonly streams: Pick<Streams, 'write'>
  readonly serverName: ServerName
  readonly edus: Pick<EduSender, 'wake'>
  readonly rooms: Pick<Rooms, 'membershipsOf' | 'serversInRoom'>
}

/** How many changes of one user other servers can be told one by one. */
const updatesKept = 100

export function createDeviceLists(needs: DeviceListNeeds): DeviceLists {
  const { db } = needs
  const turns = new Turns('device lists')
  const listeners: DeviceListListener[] = []
  const tellClients: DeviceLists['tellClients'] = (userId, roomIds, stream) => {
    for (const listener of listeners) listener(userId, roomIds, stream)
  }
  const announce = (userId: UserId) => turns.run(userId, () => tell(needs, userId, tellClients))
  return {
    announce,
    tellClients,
    tellServers: async (userId, servers) => {
      // What is being told of a change just now may not reach them.
      await turns.run(userId, () => introduce(needs, userId, servers))
    },
    resume: async () => {
      const untold = await usersWithUntoldChanges(db)
      const untoldKeys = await usersWithUntoldSigningKeys(db)
      for (const userId of new Set([...untold, ...untoldKeys])) await announce(userId)
    },
    onChange: (listener) => {
      listeners.push(listener)
    },
  }
}

async function introduce(
  { db, edus }: DeviceListNeeds,
  userId: UserId,
  servers: readonly ServerName[],
): Promise<void> {
  const last = await lastDeviceListUpdate(db, userId)
  if (last === undefined || servers.length === 0) return
  const { stream } = last
  const signing = await crossSigningKeysOf(db, [userId])
  await db.write((tx) => {
    queueUpdate(tx, servers, { kind: 'devices', userId, stream })
    // The sequence of updates does not say whether the user has other signing keys since.
    if (signing.length > 0) queueUpdate(tx, servers, { kind: 'keys', userId, stream, sub: 1 })
  })
  edus.wake(servers)
}

async function tell(
  needs: DeviceListNeeds,
  userId: UserId,
  tellClients: DeviceListListener,
): Promise<void> {
  const { db, streams, edus } = needs
  const changes = await untoldDeviceChanges(db, userId)
  const hasSigningKeys = await hasUntoldSigningKeys(db, userId)
  const count = changes.length + Number(hasSigningKeys)
  if (count === 0) return
  const roomIds = await joinedRoomsOf(needs, userId)
  // Servers must send `m.device_list_update` EDUs to all the servers who share a room with a given
  // local user.
  const destinations = await otherServersIn(needs, roomIds)
  const before = await lastDeviceListUpdate(db, userId)
  const hasKeys = hasSigningKeys || changes.some(({ has_keys }) => has_keys === 1)
  const stream = await streams.write(count, (tx, first) => {
    for (const [index, { device_id }] of changes.entries()) {
      const prev = index === 0 ? (before?.stream ?? null) : first + index - 1
      const update = { stream: first + index, prev, device_id }
      addDeviceListUpdate(tx, userId, update)
      queueUpdate(tx, destinations, { kind: 'devices', userId, stream: update.stream })
      forgetDeviceChange(tx, { userId, deviceId: device_id })
    }
    const last = first + count - 1
    if (hasSigningKeys) {
      queueUpdate(tx, destinations, { kind: 'keys', userId, stream: last })
      forgetSigningKeyChange(tx, userId)
    }
    trimDeviceListUpdates(tx, userId, updatesKept)
    if (hasKeys) touchDeviceList(tx, userId, last)
    return last
  })
  edus.wake(destinations)
  if (hasKeys) tellClients(userId, roomIds, stream)
}

async function joinedRoomsOf({ rooms }: DeviceListNeeds, userId: UserId): Promise<RoomId[]> {
  const memberships = await rooms.membershipsOf(userId)
  const joined = memberships.filter(({ membership }) => membership === 'join')
  return joined.map(({ roomId }) => roomId)
}

async function otherServersIn(
  { rooms, serverName }: DeviceListNeeds,
  roomIds: readonly RoomId[],
): Promise<ServerName[]> {
  const servers = new Set<ServerName>()
  for (const roomId of roomIds) {
    for (const server of await rooms.serversInRoom(roomId)) servers.add(server)
  }
  servers.delete(serverName)
  return [...servers]
}

function queueUpdate(
  tx: Writer,
  destinations: readonly ServerName[],
  {
    kind,
    userId,
    stream,
    sub = 0,
  }: {
    readonly kind: 'devices' | 'keys'
    readonly userId: UserId
    readonly stream: number
    readonly sub?: number
  },
): void {
  const row = { stream, sub, kind, user_id: userId, edu_json: null } as const
  for (const destination of destinations) addToDeviceOutbox(tx, destination, row)
}
