/**
 * Gives other servers the keys of our users.
 *
 * SPEC: nothing says which servers may ask. Those who invite somebody, or are in a room with somebody who
 * is invited, need their keys before they share a room with them.
 *
 * @module
 */

import {
  claimUserEncryptionKeys,
  queryUserEncryptionKeys,
} from '#endpoints/server-server/user-keys.ts'
import { answer } from '#http/endpoint.ts'
import type { ServerName, UserId } from '#protocol/identifiers/ids.ts'
import { parseUserId } from '#protocol/identifiers/user-id.ts'
import type { Server } from '#server.ts'

type Needs = Pick<Server, 'acquaintances' | 'endToEnd'>

export const userKeyRoutes = [
  answer(queryUserEncryptionKeys, async ({ origin, body }, needs: Needs) =>
    needs.endToEnd.keyQueries.queryForServer(await asked(needs, origin, body.device_keys)),
  ),
  answer(claimUserEncryptionKeys, async ({ origin, body }, needs: Needs) => {
    const { endToEnd } = needs
    const users = await asked(needs, origin, body.one_time_keys)
    const claims = [...users].flatMap(([userId, devices]) =>
      Object.entries(devices).map(([deviceId, algorithm]) => ({ userId, deviceId, algorithm })),
    )
    return { one_time_keys: await endToEnd.keyQueries.claimForServer(claims) }
  }),
]

/** What is asked of users whom the server may know. What is no user is nobody's key that we have. */
async function asked<T>(
  { acquaintances }: Needs,
  origin: ServerName,
  record: Readonly<Record<string, T>>,
): Promise<Map<UserId, T>> {
  const byUser = new Map(
    Object.entries(record).flatMap(([text, value]) => {
      const userId = parseUserId(text)
      return userId === undefined ? [] : [[userId, value] as const]
    }),
  )
  const known = await acquaintances.known(origin, 'keys', byUser.keys())
  return new Map([...byUser].filter(([userId]) => known.has(userId)))
}
