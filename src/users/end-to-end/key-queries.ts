/**
 * What clients ask of users' keys, wherever the users are at home.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysquery
 *
 * @module
 */

import { serverNameOf } from '#protocol/identifiers/common-format.ts'
import type { ServerName, UserId } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'
import type { KeyClaim, LocalKeys } from './device-keys.ts'

export interface KeyQueryAnswer {
  /** The servers that could not be reached. */
  readonly failures: Readonly<Record<string, JsonObject>>
  readonly device_keys: Readonly<Record<UserId, Readonly<Record<string, JsonObject>>>>
}

export interface KeyClaimAnswer {
  readonly failures: Readonly<Record<string, JsonObject>>
  readonly one_time_keys: Readonly<Record<UserId, Readonly<Record<string, JsonObject>>>>
}

export interface KeyQueries {
  /** The keys of users' devices: of all devices where the list is empty. */
  query(wanted: ReadonlyMap<UserId, readonly string[]>): Promise<KeyQueryAnswer>
  claim(claims: readonly KeyClaim[]): Promise<KeyClaimAnswer>
}

export function createKeyQueries(needs: {
  readonly serverName: ServerName
  readonly localKeys: LocalKeys
}): KeyQueries {
  const { serverName, localKeys } = needs
  const isLocal = (userId: UserId) => serverNameOf(userId) === serverName
  const failuresOf = (userIds: readonly UserId[]) => {
    const servers = userIds.filter((userId) => !isLocal(userId)).map(serverNameOf)
    return Object.fromEntries(servers.map((server) => [server, {}]))
  }
  return {
    query: async (wanted) => {
      const local = new Map([...wanted].filter(([userId]) => isLocal(userId)))
      const found = await localKeys.query(local)
      return {
        failures: failuresOf([...wanted.keys()]),
        device_keys: Object.fromEntries(found),
      }
    },
    claim: async (claims) => {
      const found = await localKeys.claim(claims.filter(({ userId }) => isLocal(userId)))
      const byUser = Map.groupBy(found, ({ userId }) => userId)
      const keys = [...byUser].map(([userId, ofUser]) => {
        const devices = ofUser.map(({ deviceId, key }) => [deviceId, key] as const)
        return [userId, Object.fromEntries(devices)] as const
      })
      return {
        failures: failuresOf(claims.map(({ userId }) => userId)),
        one_time_keys: Object.fromEntries(keys),
      }
    },
  }
}
