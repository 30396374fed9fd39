/**
 * Tells identity servers which addresses are users', and takes it back.
 *
 * @module
 */

import { bind3PID, unbind3pidFromAccount } from '#endpoints/client-server/administrative-contact.ts'
import { answer } from '#http/endpoint.ts'
import type { ThirdPartyId } from '#identity/identity-servers.ts'
import type { ServerName, UserId } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Server } from '#server.ts'

type Needs = Pick<Server, 'identityServers' | 'users'>

export const bindingRoutes = [
  answer(bind3PID, async ({ body, session: { userId } }, needs: Needs) => {
    const { id_server, id_access_token: token, sid, client_secret } = body
    await needs.users.boundAddresses.requireRoom(userId)
    const server = { name: id_server, token }
    const credentials = { sid, client_secret }
    const bound = await needs.identityServers.bind(server, { userId, credentials })
    await needs.users.boundAddresses.add(userId, { ...bound, id_server })
    return {}
  }),
  answer(unbind3pidFromAccount, async ({ body, session: { userId } }, needs: Needs) => {
    const { id_server: server } = body
    return { id_server_unbind_result: await unbind(needs, userId, { ...idOf(body), server }) }
  }),
]

/** How an address is known: those of e-mail in lower case. */
function idOf({ medium, address }: ThirdPartyId): ThirdPartyId {
  return { medium, address: medium === 'email' ? address.toLowerCase() : address }
}

export type UnbindResult = 'success' | 'no-support'

/**
 * Takes back that an address is the user's, at the server that is named, else at those that are known to
 * have been told.
 */
export async function unbind(
  { identityServers, users }: Needs,
  userId: UserId,
  { medium, address, server }: ThirdPartyId & { readonly server: ServerName | undefined },
): Promise<UnbindResult> {
  const id = { medium, address }
  const bound = (await users.boundAddresses.of(userId)).filter(
    (one) => one.medium === medium && idOf(one).address === idOf(id).address,
  )
  // The homeserver MUST use the id_server the identifier was added through.
  const known = bound.map(({ id_server }) => id_server)
  const servers = server === undefined ? known : [server]
  // If the homeserver does not know the original id_server, it MUST return no-support.
  let result: UnbindResult = servers.length === 0 ? 'no-support' : 'success'
  for (const name of servers) {
    const own = bound.find(({ id_server }) => id_server === name)
    if (!(await identityServers.unbind(name, { userId, id: own ?? id }))) {
      result = 'no-support'
    } else if (own !== undefined) {
      await users.boundAddresses.delete(userId, own)
    }
  }
  return result
}

/** Takes back all that the user has bound, as far as that is possible. */
export async function unbindAll(
  needs: Needs,
  userId: UserId,
  server: ServerName | undefined,
): Promise<UnbindResult> {
  let result: UnbindResult = 'success'
  for (const { id_server, ...id } of await needs.users.boundAddresses.of(userId)) {
    try {
      const one = await unbind(needs, userId, { ...id, server: server ?? id_server })
      if (one !== 'success') result = 'no-support'
    } catch (error) {
      // Whoever closes their account must not be kept by a server that does not answer.
      if (!(error instanceof MatrixError)) throw error
      result = 'no-support'
    }
  }
  return result
}
