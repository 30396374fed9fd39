/**
 * Answers single questions of other servers: where an alias leads, and who a user is.
 *
 * @module
 */

import { queryInfo, queryProfile, queryRoomDirectory } from '#endpoints/server-server/query.ts'
import { answer } from '#http/endpoint.ts'
import { serverNameOf } from '#protocol/identifiers/common-format.ts'
import { parseUserId } from '#protocol/identifiers/user-id.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Server } from '#server.ts'
import type { Aliases } from '#users/aliases.ts'

export const queryDirectoryRoute = answer(
  queryRoomDirectory,
  async ({ query }, { aliases }: { readonly aliases: Pick<Aliases, 'resolveLocal'> }) => {
    const found = await aliases.resolveLocal(query.room_alias)
    if (found === undefined) throw new MatrixError(404, 'M_NOT_FOUND', 'There is no such alias.')
    return { room_id: found.roomId, servers: [...found.servers] }
  },
)

export const queryProfileRoute = answer(
  queryProfile,
  async (
    { query, origin },
    { users, serverName, acquaintances }: Pick<Server, 'acquaintances' | 'serverName' | 'users'>,
  ) => {
    // MUST be a user local to the receiving homeserver.
    const userId = parseUserId(query.user_id)
    const isOurs = userId !== undefined && serverNameOf(userId) === serverName
    const mayKnow = isOurs && (await acquaintances.mayKnow(origin, 'profiles', userId))
    const profile = mayKnow ? await users.profiles.local(userId) : undefined
    if (profile === undefined) throw new MatrixError(404, 'M_NOT_FOUND', 'There is no such user.')
    if (query.field === undefined) return profile
    // If specified, the server MUST only return the given field in the response.
    const value = Object.hasOwn(profile, query.field) ? profile[query.field] : undefined
    return value === undefined ? {} : { [query.field]: value }
  },
)

/** Queries of other types, which nobody here answers. */
export const queryOtherRoute = answer(queryInfo, async ({ params: { queryType } }) => {
  // If a request for an unsupported (or unknown) endpoint is received then the server must respond
  // with a 404 M_UNRECOGNIZED error.
  throw new MatrixError(404, 'M_UNRECOGNIZED', `There is no query of the type '${queryType}'.`)
})
