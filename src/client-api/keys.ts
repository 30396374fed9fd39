/**
 * Takes the keys of devices, and gives those of others.
 *
 * @module
 */

import { claimKeys, getKeysChanges, queryKeys, uploadKeys } from '#endpoints/client-server/keys.ts'
import { answer } from '#http/endpoint.ts'
import type { UserId } from '#protocol/identifiers/ids.ts'
import { parseUserId } from '#protocol/identifiers/user-id.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Server } from '#server.ts'
import { parseToken, streamOf } from '#sync/token.ts'

type Needs = Pick<Server, 'endToEnd'>

export const keyRoutes = [
  answer(uploadKeys, async ({ session, body }, { endToEnd }: Needs) => {
    const counts = await endToEnd.localKeys.upload(session, {
      deviceKeys: body.device_keys,
      oneTimeKeys: body.one_time_keys ?? {},
      fallbackKeys: body.fallback_keys ?? {},
    })
    return { one_time_key_counts: counts }
  }),
  answer(queryKeys, async ({ session, body }, { endToEnd }: Needs) => {
    const wanted = byUserId(body.device_keys)
    return await endToEnd.keyQueries.query(session.userId, wanted, body.timeout)
  }),
  answer(claimKeys, async ({ body }, { endToEnd }: Needs) => {
    const claims = [...byUserId(body.one_time_keys)].flatMap(([userId, devices]) =>
      Object.entries(devices).map(([deviceId, algorithm]) => ({ userId, deviceId, algorithm })),
    )
    return await endToEnd.keyQueries.claim(claims, body.timeout)
  }),
]

export const keysChangesRoute = answer(
  getKeysChanges,
  async ({ session, query }, { sync }: Pick<Server, 'sync'>) => {
    const from = streamOf(parseToken(query.from, 'from'))
    const to = streamOf(parseToken(query.to, 'to'))
    return await sync.deviceListChanges(session.userId, { from, to })
  },
)

/** Throws 400 if a key is no user ID. */
export function byUserId<T>(record: Readonly<Record<string, T>>): Map<UserId, T> {
  const entries = Object.entries(record).map(([text, value]) => {
    const userId = parseUserId(text)
    if (userId !== undefined) return [userId, value] as const
    throw new MatrixError(400, 'M_INVALID_PARAM', `'${text.slice(0, 100)}' is no user ID.`)
  })
  return new Map(entries)
}
