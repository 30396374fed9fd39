/**
 * Asks a user who is logged in for their password once more, before what cannot be undone.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#password-based
 *
 * @module
 */

import type { Session } from '#http/endpoint.ts'
import { isJsonObject, type JsonObject } from '#protocol/json.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Users } from '#users/users.ts'

/** Returns once the user has proved who they are, and throws the 401 that asks for it before. */
export async function proveIdentity(
  users: Users,
  session: Session,
  request: { readonly operation: string; readonly auth: JsonObject | undefined },
): Promise<void> {
  await users.interactiveAuth.complete({
    operation: `${request.operation} ${session.userId}`,
    flows: [['m.login.password']],
    auth: request.auth,
    checkStage: async (_, auth) => {
      const name = namedUser(auth)
      const userId = name === undefined ? session.userId : users.accounts.userIdNamed(name)
      if (userId !== session.userId) {
        throw new MatrixError(403, 'M_FORBIDDEN', `This is for ${session.userId} to confirm.`)
      }
      const password = typeof auth.password === 'string' ? auth.password : ''
      if (await users.accounts.checkPassword(userId, password)) return
      throw new MatrixError(401, 'M_FORBIDDEN', 'The password is not right.')
    },
  })
}

/** The user whom an `identifier`, or the `user` of before it, names: an ID or a localpart. */
export function namedUser(auth: JsonObject): string | undefined {
  const { identifier } = auth
  if (isJsonObject(identifier)) {
    const { type, user } = identifier
    return type === 'm.id.user' && typeof user === 'string' ? user : ''
  }
  return typeof auth.user === 'string' ? auth.user : undefined
}
