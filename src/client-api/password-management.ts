/**
 * Changes passwords.
 *
 * @module
 */

import { changePassword } from '#endpoints/client-server/password-management.ts'
import { answer } from '#http/endpoint.ts'
import type { Server } from '#server.ts'
import { proveIdentity } from './prove-identity.ts'

export const changePasswordRoute = answer(
  changePassword,
  async ({ session, body }, { users }: Pick<Server, 'users'>) => {
    await proveIdentity(users, session, { operation: 'password', auth: body.auth })
    await users.accounts.setPassword(session.userId, body.new_password)
    // Whether the user's other access tokens, and their associated devices, should be revoked.
    // Defaults to true.
    if (body.logout_devices ?? true) {
      users.loginTokens.forget(session.userId)
      await users.sessions.logoutAll(session.userId, session.deviceId)
    }
    return {}
  },
)
