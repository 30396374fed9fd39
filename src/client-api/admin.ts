/**
 * Lets administrators look at accounts, lock and suspend them.
 *
 * In order to prevent user enumeration, servers MUST ensure that authorisation is checked prior to trying
 * to do account lookups.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#server-administration
 *
 * @module
 */

import {
  getAdminLockUser,
  getAdminSuspendUser,
  getWhoIs,
  setAdminLockUser,
  setAdminSuspendUser,
} from '#endpoints/client-server/admin.ts'
import { answer } from '#http/endpoint.ts'
import { serverNameOf } from '#protocol/identifiers/common-format.ts'
import type { UserId } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Server } from '#server.ts'
import type { Account } from '#users/accounts.ts'

type Needs = Pick<Server, 'serverName' | 'users'>

/** Who looks at whose account. */
interface Look {
  readonly asker: UserId
  readonly userId: UserId
}

export const accountAdminRoutes = [
  answer(getWhoIs, async ({ params: { userId }, session }, needs: Needs) => {
    // This API may be restricted to only be called by the user being looked up, or by a server admin.
    if (userId !== session.userId) await localAccount(needs, { asker: session.userId, userId })
    const devices = await needs.users.devices.list(userId)
    const shown = devices.map(({ device_id, last_seen_ip: ip, last_seen_ts: last_seen }) => {
      const connection = { ...(ip !== undefined && { ip }), ...(last_seen && { last_seen }) }
      return [device_id, { sessions: [{ connections: [connection] }] }] as const
    })
    return { user_id: userId, devices: Object.fromEntries(shown) }
  }),
  answer(getAdminSuspendUser, async ({ params: { userId }, session }, needs: Needs) => {
    const { suspended } = await moderatedAccount(needs, { asker: session.userId, userId })
    return { suspended }
  }),
  answer(setAdminSuspendUser, async ({ params: { userId }, body, session }, needs: Needs) => {
    await moderatedAccount(needs, { asker: session.userId, userId })
    await needs.users.accounts.setSuspended(userId, body.suspended)
    return { suspended: body.suspended }
  }),
  answer(getAdminLockUser, async ({ params: { userId }, session }, needs: Needs) => {
    const { locked } = await moderatedAccount(needs, { asker: session.userId, userId })
    return { locked }
  }),
  answer(setAdminLockUser, async ({ params: { userId }, body, session }, needs: Needs) => {
    await moderatedAccount(needs, { asker: session.userId, userId })
    await needs.users.accounts.setLocked(userId, body.locked)
    return { locked: body.locked }
  }),
]

/** An account of this server that an administrator looks at. */
async function localAccount({ users, serverName }: Needs, look: Look): Promise<Account> {
  const { asker, userId } = look
  if ((await users.accounts.account(asker))?.admin !== true) {
    throw new MatrixError(403, 'M_FORBIDDEN', 'This is for administrators of this server.')
  }
  if (serverNameOf(userId) !== serverName) {
    throw new MatrixError(400, 'M_INVALID_PARAM', 'The user does not belong to this server.')
  }
  const account = await users.accounts.account(userId)
  if (account !== undefined && account.deactivatedTs === undefined) return account
  throw new MatrixError(404, 'M_NOT_FOUND', 'There is no such user.')
}

/** One that is not an administrator's: neither one's own nor that of another. */
async function moderatedAccount(needs: Needs, look: Look): Promise<Account> {
  const account = await localAccount(needs, look)
  if (!account.admin) return account
  throw new MatrixError(403, 'M_FORBIDDEN', 'Administrators are neither locked nor suspended.')
}
