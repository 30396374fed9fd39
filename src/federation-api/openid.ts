/**
 * Tells services who the user is that showed them a token.
 *
 * @module
 */

import { exchangeOpenIdToken } from '#endpoints/server-server/openid.ts'
import { answer } from '#http/endpoint.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Server } from '#server.ts'

export const openIdUserRoute = answer(
  exchangeOpenIdToken,
  async ({ query }, { users }: Pick<Server, 'users'>) => {
    const userId = await users.openId.userOf(query.access_token)
    if (userId !== undefined) return { sub: userId }
    throw new MatrixError(401, 'M_UNKNOWN_TOKEN', 'The token is not known, or has ended.')
  },
)
