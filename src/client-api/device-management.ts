/**
 * Shows, renames and deletes a user's own devices.
 *
 * @module
 */

import { createHash } from 'node:crypto'
import {
  deleteDevice,
  deleteDevices,
  getDevice,
  getDevices,
  updateDevice,
} from '#endpoints/client-server/device-management.ts'
import { answer } from '#http/endpoint.ts'
import type { Server } from '#server.ts'
import { proveIdentity } from './prove-identity.ts'

type Needs = Pick<Server, 'users'>

export const deviceManagementRoutes = [
  answer(getDevices, async ({ session }, { users }: Needs) => ({
    devices: await users.devices.list(session.userId),
  })),
  answer(getDevice, ({ session, params }, { users }: Needs) =>
    users.devices.get(session.userId, params.deviceId),
  ),
  answer(updateDevice, async ({ session, params, body }, { users }: Needs) => {
    const { userId } = session
    // If not given, the display name is unchanged.
    if (body.display_name === undefined) await users.devices.get(userId, params.deviceId)
    else await users.devices.rename(userId, params.deviceId, body.display_name)
    return {}
  }),
  answer(deleteDevice, async ({ session, params, body }, { users }: Needs) => {
    const operation = `delete device ${params.deviceId}`
    await proveIdentity(users, session, { operation, auth: body.auth })
    await users.devices.delete(session.userId, [params.deviceId])
    return {}
  }),
  answer(deleteDevices, async ({ session, body }, { users }: Needs) => {
    const which = createHash('sha256').update(JSON.stringify(body.devices)).digest('base64')
    const operation = `delete devices ${which}`
    await proveIdentity(users, session, { operation, auth: body.auth })
    await users.devices.delete(session.userId, body.devices)
    return {}
  }),
]
