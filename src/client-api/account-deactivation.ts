/**
 * Closes accounts for good.
 *
 * @module
 */

import { deactivateAccount } from '#endpoints/client-server/account-deactivation.ts'
import { answer } from '#http/endpoint.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Server } from '#server.ts'
import { unbindAll } from './binding.ts'
import { proveIdentity } from './prove-identity.ts'

export const deactivateAccountRoute = answer(
  deactivateAccount,
  async (
    { session, body },
    { identityServers, users }: Pick<Server, 'identityServers' | 'users'>,
  ) => {
    // The homeserver may change the flows available depending on whether a valid access token is
    // provided: we have none without.
    if (session === undefined) {
      throw new MatrixError(401, 'M_MISSING_TOKEN', 'This needs an access token.')
    }
    await proveIdentity(users, session, { operation: 'deactivate', auth: body.auth })
    // This must be success if the homeserver has no identifiers to unbind for the user.
    const unbound = await unbindAll({ identityServers, users }, session.userId, body.id_server)
    await users.deactivate(session.userId, { erase: body.erase ?? false })
    return { id_server_unbind_result: unbound }
  },
)
