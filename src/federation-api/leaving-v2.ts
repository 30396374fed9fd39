/**
 * Takes leaves of users of other servers.
 *
 * @module
 */

import { sendLeaveV2 } from '#endpoints/server-server/leaving-v2.ts'
import { answer } from '#http/endpoint.ts'
import type { Server } from '#server.ts'

export const sendLeaveV2Route = answer(
  sendLeaveV2,
  async ({ origin, params, rawBody }, { roomsForServers }: Pick<Server, 'roomsForServers'>) => {
    await roomsForServers.acceptLeave({ ...params, origin, event: rawBody })
    return {}
  },
)
