/**
 * Asking other servers for the devices and keys of their users.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#end-to-end-encryption
 *
 * @module
 */

import { getUserDevices } from '#endpoints/server-server/user-devices.ts'
import {
  claimUserEncryptionKeys,
  queryUserEncryptionKeys,
} from '#endpoints/server-server/user-keys.ts'
import type { ResponseOf } from '#http/endpoint.ts'
import type { ServerName, UserId } from '#protocol/identifiers/ids.ts'
import type { FederationClient } from './call.ts'

export type UserDevices = ResponseOf<typeof getUserDevices>
export type UserKeys = ResponseOf<typeof queryUserEncryptionKeys>

/** All throw `FederationError`. What an answer says is for whoever asked to check. */
export interface RemoteKeys {
  /** All devices of a user, who must be one of the destination's. */
  devices(destination: ServerName, userId: UserId, timeoutMs: number): Promise<UserDevices>
  queryKeys(
    destination: ServerName,
    deviceKeys: Readonly<Record<string, readonly string[]>>,
    timeoutMs: number,
  ): Promise<UserKeys>
  /** Takes keys: what is given is given once. */
  claimKeys(
    destination: ServerName,
    oneTimeKeys: Readonly<Record<string, Readonly<Record<string, string>>>>,
    timeoutMs: number,
  ): Promise<ResponseOf<typeof claimUserEncryptionKeys>>
}

export function createRemoteKeys(client: FederationClient): RemoteKeys {
  return {
    async devices(destination, userId, timeoutMs) {
      const request = { params: { userId } }
      return (await client.call(destination, getUserDevices, request, { timeoutMs })).json
    },
    async queryKeys(destination, device_keys, timeoutMs) {
      const request = { body: { device_keys } }
      return (await client.call(destination, queryUserEncryptionKeys, request, { timeoutMs })).json
    },
    async claimKeys(destination, one_time_keys, timeoutMs) {
      const request = { body: { one_time_keys } }
      return (await client.call(destination, claimUserEncryptionKeys, request, { timeoutMs })).json
    },
  }
}
