/**
 * Makes a token by which another client logs in as the same user.
 *
 * @module
 */

import { generateLoginToken } from '#endpoints/client-server/login-token.ts'
import { answer } from '#http/endpoint.ts'
import type { Server } from '#server.ts'
import { loginTokenMs } from '#users/login-tokens.ts'
import { proveIdentity } from './prove-identity.ts'

export const loginTokenRoute = answer(
  generateLoginToken,
  async ({ session, body }, { users }: Pick<Server, 'users'>) => {
    await proveIdentity(users, session, { operation: 'get_token', auth: body.auth })
    return { login_token: users.loginTokens.create(session.userId), expires_in_ms: loginTokenMs }
  },
)
