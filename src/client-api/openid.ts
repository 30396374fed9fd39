/**
 * Gives users tokens by which they show others who they are.
 *
 * @module
 */

import { requestOpenIdToken } from '#endpoints/client-server/openid.ts'
import { answer } from '#http/endpoint.ts'
import type { Server } from '#server.ts'
import { openIdTokenMs } from '#users/openid.ts'
import { checkOwnUser } from './own-user.ts'

export const openIdTokenRoute = answer(
  requestOpenIdToken,
  async ({ session, params }, { users, serverName }: Pick<Server, 'users' | 'serverName'>) => {
    checkOwnUser(session, params.userId)
    return {
      access_token: await users.openId.create(session.userId),
      token_type: 'Bearer' as const,
      matrix_server_name: serverName,
      expires_in: openIdTokenMs / 1_000,
    }
  },
)
