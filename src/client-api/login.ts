/**
 * Logs users in.
 *
 * @module
 */

import { getLoginFlows, login } from '#endpoints/client-server/login.ts'
import { answer, type RequestOf } from '#http/endpoint.ts'
import type { UserId } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Server } from '#server.ts'
import type { Users } from '#users/users.ts'
import { namedUser } from './prove-identity.ts'

export const loginFlowsRoute = answer(getLoginFlows, async () => ({
  flows: [{ type: 'm.login.password' }, { type: 'm.login.token', get_login_token: true }],
}))

type LoginBody = RequestOf<typeof login>['body']

export const loginRoute = answer(
  login,
  async ({ body }, { users, publicBaseUrl }: Pick<Server, 'users' | 'publicBaseUrl'>) => {
    const userId = await authenticate(users, body)
    await users.accounts.requireUnlocked(userId)
    const issued = await users.sessions.login(userId, {
      deviceId: body.device_id,
      displayName: body.initial_device_display_name,
      refreshable: body.refresh_token,
    })
    const wellKnown = { 'm.homeserver': { base_url: publicBaseUrl } }
    return { user_id: userId, ...issued, well_known: wellKnown }
  },
)

function authenticate(users: Users, body: LoginBody): Promise<UserId> {
  if (body.type === 'm.login.password') return byPassword(users, body)
  if (body.type === 'm.login.token') return byToken(users, body.token)
  throw new MatrixError(400, 'M_UNKNOWN', 'This login type is not known here.')
}

async function byPassword(users: Users, body: LoginBody): Promise<UserId> {
  const { identifier, user, password } = body
  if (password === undefined) {
    throw new MatrixError(400, 'M_MISSING_PARAM', "'password' is required.")
  }
  const name = namedUser({ ...(identifier && { identifier }), ...(user && { user }) })
  if (name === undefined && body.address === undefined) {
    throw new MatrixError(400, 'M_MISSING_PARAM', "'identifier' is required.")
  }
  const userId = users.accounts.userIdNamed(name ?? '')
  const isRight = await users.accounts.checkPassword(userId, password)
  if (isRight && userId !== undefined) return userId
  await refuseDeactivated(users, userId)
  throw new MatrixError(403, 'M_FORBIDDEN', 'The user or the password is not right.')
}

async function byToken(users: Users, token: string | undefined): Promise<UserId> {
  if (token === undefined) throw new MatrixError(400, 'M_MISSING_PARAM', "'token' is required.")
  const userId = users.loginTokens.take(token)
  await refuseDeactivated(users, userId)
  if (userId !== undefined) return userId
  throw new MatrixError(403, 'M_FORBIDDEN', 'The token is not valid, or not any more.')
}

/** Whose account is closed has no password any more by which they could show that it was theirs. */
async function refuseDeactivated(users: Users, userId: UserId | undefined): Promise<void> {
  const account = userId && (await users.accounts.account(userId))
  if (account?.deactivatedTs === undefined) return
  throw new MatrixError(403, 'M_USER_DEACTIVATED', 'This account is closed.')
}
