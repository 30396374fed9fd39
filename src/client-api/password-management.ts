/**
 * Changes passwords.
 *
 * @module
 */

import { changePassword } from '#endpoints/client-server/password-management.ts'
import { answer, type RequestOf, type Session } from '#http/endpoint.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Server } from '#server.ts'
import { addressRefusal, type ShownAddress } from '#users/addresses.ts'
import type { Users } from '#users/users.ts'
import { shownAddress } from './address-stage.ts'
import { proveIdentity } from './prove-identity.ts'

type Body = RequestOf<typeof changePassword>['body']

export const changePasswordRoute = answer(
  changePassword,
  async ({ session, body }, { users }: Pick<Server, 'users'>) => {
    if (session === undefined) await resetPassword(users, body)
    else await changeOwn(users, session, body)
    return {}
  },
)

async function changeOwn(users: Users, session: Session, body: Body): Promise<void> {
  await proveIdentity(users, session, { operation: 'password', auth: body.auth })
  await users.accounts.setPassword(session.userId, body.new_password)
  // Whether the user's other access tokens, and their associated devices, should be revoked.
  // Defaults to true.
  if (body.logout_devices ?? true) {
    users.loginTokens.forget(session.userId)
    await users.sessions.logoutAll(session.userId, session.deviceId)
  }
}

/** Whoever has forgotten their password shows that an address of the account is theirs. */
async function resetPassword(users: Users, body: Body): Promise<void> {
  const { accounts, addresses, interactiveAuth, sessions } = users
  if (!addresses.canSend) {
    throw new MatrixError(401, 'M_MISSING_TOKEN', 'This needs an access token.')
  }
  let shown: ShownAddress | undefined
  // There is but one stage: it is that of this request.
  await interactiveAuth.complete({
    operation: 'reset password',
    flows: [['m.login.email.identity']],
    auth: body.auth,
    checkStage: async (_, auth) => {
      shown = await shownAddress(users, 'password', auth)
    },
  })
  const address = shown
  const userId = address && (await addresses.userOf(address.address))
  if (address === undefined || userId === undefined || !(await accounts.exists(userId))) {
    throw new MatrixError(403, 'M_THREEPID_AUTH_FAILED', 'No account has this address any more.')
  }
  try {
    await accounts.setPassword(userId, body.new_password, (tx) => addresses.useIn(tx, address))
  } catch (error) {
    throw addressRefusal(error) ?? error
  }
  if (body.logout_devices ?? true) {
    users.loginTokens.forget(userId)
    await sessions.logoutAll(userId)
  }
}
