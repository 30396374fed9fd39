/**
 * Searches for users.
 *
 * @module
 */

import { searchUserDirectory } from '#endpoints/client-server/users.ts'
import { answer } from '#http/endpoint.ts'
import type { Server } from '#server.ts'

/** How many users an answer holds if the client does not say, and at most. */
const limitDefault = 10
const limitMax = 100

export const searchUserDirectoryRoute = answer(
  searchUserDirectory,
  async ({ body, session }, { userDirectory }: Pick<Server, 'userDirectory'>) => {
    const limit = Math.min(body.limit ?? limitDefault, limitMax)
    return await userDirectory.search({
      userId: session.userId,
      searchTerm: body.search_term,
      limit,
    })
  },
)
