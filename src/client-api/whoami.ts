/**
 * Tells whose access token it is.
 *
 * @module
 */

import { getTokenOwner } from '#endpoints/client-server/whoami.ts'
import { answer } from '#http/endpoint.ts'

export const whoamiRoute = answer(getTokenOwner, async ({ session }) => ({
  user_id: session.userId,
  device_id: session.deviceId,
  is_guest: session.guest,
}))
