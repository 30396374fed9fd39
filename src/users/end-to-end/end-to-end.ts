/**
 * End-to-end encryption, as far as a server has a part in it: it keeps and hands on keys that it
 * cannot use, and messages that it cannot read.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#end-to-end-encryption
 *
 * @module
 */

import type { UserId } from '#protocol/identifiers/ids.ts'
import { createToDevice, type ToDevice, type ToDeviceNeeds } from '../to-device.ts'
import { createLocalKeys, type LocalKeys } from './device-keys.ts'
import { createDeviceLists, type DeviceListNeeds, type DeviceLists } from './device-lists.ts'
import { createKeyQueries, type KeyQueries } from './key-queries.ts'

export interface EndToEnd {
  readonly deviceLists: DeviceLists
  readonly localKeys: LocalKeys
  readonly keyQueries: KeyQueries
  readonly toDevice: ToDevice
}

export interface EndToEndNeeds extends DeviceListNeeds, ToDeviceNeeds {
  /** Whether a user has, or had, an account here. */
  readonly isKnown: (userId: UserId) => Promise<boolean>
}

export function createEndToEnd(needs: EndToEndNeeds): EndToEnd {
  const deviceLists = createDeviceLists(needs)
  const localKeys = createLocalKeys({ ...needs, deviceLists })
  return {
    deviceLists,
    localKeys,
    keyQueries: createKeyQueries({ ...needs, localKeys }),
    toDevice: createToDevice(needs),
  }
}
