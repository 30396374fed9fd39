/**
 * Gives other servers the keys of our users.
 *
 * SPEC: nothing says which servers may ask. We answer all: those who invite somebody, or are in a room
 * with somebody who is invited, need their keys before they share a room with them.
 *
 * @module
 */

import {
  claimUserEncryptionKeys,
  queryUserEncryptionKeys,
} from '#endpoints/server-server/user-keys.ts'
import { answer } from '#http/endpoint.ts'
import type { UserId } from '#protocol/identifiers/ids.ts'
import { parseUserId } from '#protocol/identifiers/user-id.ts'
import type { Server } from '#server.ts'

type Needs = Pick<Server, 'endToEnd'>

export const userKeyRoutes = [
  answer(queryUserEncryptionKeys, async ({ body }, { endToEnd }: Needs) =>
    endToEnd.keyQueries.queryForServer(byUserId(body.device_keys)),
  ),
  answer(claimUserEncryptionKeys, async ({ body }, { endToEnd }: Needs) => {
    const claims = [...byUserId(body.one_time_keys)].flatMap(([userId, devices]) =>
      Object.entries(devices).map(([deviceId, algorithm]) => ({ userId, deviceId, algorithm })),
    )
    return { one_time_keys: await endToEnd.keyQueries.claimForServer(claims) }
  }),
]

/** What is no user is nobody's key that we have. */
function byUserId<T>(record: Readonly<Record<string, T>>): Map<UserId, T> {
  return new Map(
    Object.entries(record).flatMap(([text, value]) => {
      const userId = parseUserId(text)
      return userId === undefined ? [] : [[userId, value] as const]
    }),
  )
}
