/**
 * Tells other servers' keys, as a notary.
 *
 * @module
 */

import {
  bulkPerspectivesKeyQuery,
  perspectivesKeyQuery,
} from '#endpoints/server-server/keys-query.ts'
import { answer } from '#http/endpoint.ts'
import type { Server } from '#server.ts'

export const keyQueryRoute = answer(
  perspectivesKeyQuery,
  async ({ params, query }, { notary }: Pick<Server, 'notary'>) => {
    const minimumValidUntilTs = query.minimum_valid_until_ts
    const question = { server: params.serverName, keys: new Map(), minimumValidUntilTs }
    return { server_keys: await notary.answer([question]) }
  },
)

export const keysQueryRoute = answer(
  bulkPerspectivesKeyQuery,
  async ({ body }, { notary }: Pick<Server, 'notary'>) => {
    const questions = Object.entries(body.server_keys).map(([server, keys]) => {
      const criteria = Object.entries(keys)
      const untils = criteria.map(([keyId, one]) => [keyId, one.minimum_valid_until_ts] as const)
      return { server, keys: new Map(untils) }
    })
    return { server_keys: await notary.answer(questions) }
  },
)
