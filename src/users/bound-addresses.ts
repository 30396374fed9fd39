/**
 * Which addresses users have bound to their IDs at identity servers, as far as they did it through this
 * server: so they can take it back without knowing where it was.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3account3pidbind
 *
 * @module
 */

import type { Clock } from '#io/clock.ts'
import type { UserId } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import {
  addBoundAddress,
  type BoundAddressRow,
  boundAddresses,
  deleteBoundAddress,
} from '#storage/bound-addresses.ts'
import type { Database } from '#storage/database.ts'

/** How many a user may have. */
const addressesMax = 100

export type BoundAddress = BoundAddressRow

export interface BoundAddresses {
  of(userId: UserId): Promise<BoundAddress[]>
  /** Throws a 403 `M_FORBIDDEN` if the user has too many. */
  requireRoom(userId: UserId): Promise<void>
  add(userId: UserId, bound: BoundAddress): Promise<void>
  delete(userId: UserId, bound: BoundAddress): Promise<void>
}

export function createBoundAddresses(needs: {
  readonly db: Database
  readonly clock: Pick<Clock, 'now'>
}): BoundAddresses {
  const { db, clock } = needs
  return {
    of: (userId) => boundAddresses(db, userId, addressesMax),
    requireRoom: async (userId) => {
      if ((await boundAddresses(db, userId, addressesMax)).length < addressesMax) return
      const message = `More than ${addressesMax} addresses of one user are not looked after.`
      throw new MatrixError(403, 'M_FORBIDDEN', message)
    },
    add: (userId, bound) => db.write((tx) => addBoundAddress(tx, userId, bound, clock.now())),
    delete: (userId, bound) => db.write((tx) => deleteBoundAddress(tx, userId, bound)),
  }
}
