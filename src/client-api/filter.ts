/**
 * Keeps filters of /sync.
 *
 * @module
 */

import { defineFilter, getFilter } from '#endpoints/client-server/filter.ts'
import { answer } from '#http/endpoint.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Server } from '#server.ts'
import { parseSyncFilter } from '#sync/filter.ts'
import { checkOwnUser } from './own-user.ts'

export const defineFilterRoute = answer(
  defineFilter,
  async ({ session, params, body }, { users }: Pick<Server, 'users'>) => {
    checkOwnUser(session, params.userId)
    // A filter that /sync could not read is refused here rather than there.
    parseSyncFilter(body)
    return { filter_id: await users.filters.add(session.userId, body) }
  },
)

export const getFilterRoute = answer(
  getFilter,
  async ({ session, params }, { users }: Pick<Server, 'users'>) => {
    checkOwnUser(session, params.userId)
    const filter = await users.filters.get(session.userId, params.filterId)
    if (filter === undefined) throw new MatrixError(404, 'M_NOT_FOUND', 'There is no such filter.')
    return filter
  },
)
