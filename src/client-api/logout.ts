/**
 * Ends sessions.
 *
 * @module
 */

import { logout, logoutAll } from '#endpoints/client-server/logout.ts'
import { answer } from '#http/endpoint.ts'
import type { Server } from '#server.ts'

export const logoutRoute = answer(logout, async ({ session }, { users }: Pick<Server, 'users'>) => {
  await users.sessions.logout(session)
  return {}
})

export const logoutAllRoute = answer(
  logoutAll,
  async ({ session }, { users }: Pick<Server, 'users'>) => {
    users.loginTokens.forget(session.userId)
    await users.sessions.logoutAll(session.userId)
    return {}
  },
)
