/**
 * End-to-end encryption, as far as a server has a part in it: it keeps and hands on keys that it
 * cannot use, and messages that it cannot read.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#end-to-end-encryption
 *
 * @module
 */

import type { EduReceiver } from '#federation/edus.ts'
import type { DeviceEduSource } from '#federation/sender/device-lane.ts'
import type { RemoteKeys, UserDevices } from '#federation/user-keys.ts'
import type { UserId } from '#protocol/identifiers/ids.ts'
import { createToDevice, type ToDevice, type ToDeviceNeeds } from '../to-device.ts'
import { type CrossSigning, createCrossSigning } from './cross-signing.ts'
import {
  createDehydratedDevices,
  type DehydratedDeviceNeeds,
  type DehydratedDevices,
} from './dehydrated-devices.ts'
import { deviceEdusOf } from './device-edus.ts'
import { createLocalKeys, type LocalKeys } from './device-keys.ts'
import { createDeviceLists, type DeviceListNeeds, type DeviceLists } from './device-lists.ts'
import { createEncounters, type EncounterNeeds } from './encounters.ts'
import { createKeyBackups, type KeyBackups } from './key-backups.ts'
import { createKeyQueries, type KeyQueries, type KeyQueryNeeds } from './key-queries.ts'
import { createRemoteDevices, type RemoteDeviceNeeds } from './remote-devices.ts'
import { userDevices } from './user-devices.ts'

export interface EndToEnd {
  readonly deviceLists: DeviceLists
  readonly localKeys: LocalKeys
  readonly keyQueries: KeyQueries
  readonly crossSigning: CrossSigning
  readonly keyBackups: KeyBackups
  readonly dehydratedDevices: DehydratedDevices
  readonly toDevice: ToDevice
  /** All devices with keys of a user of this server, as other servers are told; if there is one. */
  userDevices(userId: UserId): Promise<UserDevices | undefined>
  /** What other servers are told of our users' devices and keys. */
  readonly deviceEdusOf: DeviceEduSource
  /** Takes the EDUs of other servers, by type. */
  readonly eduReceivers: readonly (readonly [string, EduReceiver])[]
  /** Goes on with what was under way when the server ended. Call it once. */
  start(): Promise<void>
  close(): void
}

export type EndToEndNeeds = DeviceListNeeds &
  ToDeviceNeeds &
  Pick<DehydratedDeviceNeeds, 'streams'> &
  Omit<EncounterNeeds, 'deviceLists' | 'remoteDevices'> &
  Omit<KeyQueryNeeds, 'localKeys' | 'remoteDevices'> &
  Omit<RemoteDeviceNeeds, 'told'> & {
    readonly remoteKeys: RemoteKeys
    /** Whether a user has, or had, an account here. */
    readonly isKnown: (userId: UserId) => Promise<boolean>
  }

export function createEndToEnd(needs: EndToEndNeeds): EndToEnd {
  const deviceLists = createDeviceLists(needs)
  const localKeys = createLocalKeys({ ...needs, deviceLists })
  const remoteDevices = createRemoteDevices({ ...needs, told: deviceLists.tellClients })
  const encounters = createEncounters({ ...needs, deviceLists, remoteDevices })
  const toDevice = createToDevice(needs)
  const keyQueries = createKeyQueries({ ...needs, localKeys, remoteDevices })
  return {
    deviceLists,
    localKeys,
    keyQueries,
    crossSigning: createCrossSigning({ ...needs, deviceLists, mastersOf: keyQueries.mastersOf }),
    keyBackups: createKeyBackups(needs),
    dehydratedDevices: createDehydratedDevices({ ...needs, localKeys, toDevice, deviceLists }),
    toDevice,
    userDevices: (userId) => userDevices({ ...needs, localKeys }, userId),
    deviceEdusOf: (rows) => deviceEdusOf(needs.db, rows),
    eduReceivers: [
      ['m.direct_to_device', toDevice.receive],
      ['m.device_list_update', remoteDevices.receiveUpdate],
      ['m.signing_key_update', remoteDevices.receiveSigningKeys],
    ],
    start: async () => {
      await Promise.all([deviceLists.resume(), remoteDevices.resume(), encounters.start()])
    },
    close: () => remoteDevices.close(),
  }
}
