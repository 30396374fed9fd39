/**
 * Tells other servers of our users' devices.
 *
 * @module
 */

import { getUserDevices } from '#endpoints/server-server/user-devices.ts'
import { answer } from '#http/endpoint.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Server } from '#server.ts'

export const userDevicesRoute = answer(
  getUserDevices,
  async ({ params, origin }, needs: Pick<Server, 'acquaintances' | 'endToEnd'>) => {
    const { acquaintances, endToEnd } = needs
    // Must be a user local to the receiving homeserver.
    const mayKnow = await acquaintances.mayKnow(origin, 'keys', params.userId)
    const devices = mayKnow ? await endToEnd.userDevices(params.userId) : undefined
    if (devices === undefined) throw new MatrixError(404, 'M_NOT_FOUND', 'There is no such user.')
    return devices
  },
)
