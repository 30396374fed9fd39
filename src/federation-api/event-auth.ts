/**
 * Gives the auth chains of events to servers in their room.
 *
 * @module
 */

import { getEventAuth } from '#endpoints/server-server/event-auth.ts'
import { answer } from '#http/endpoint.ts'
import { RawJsonPages } from '#http/raw-json.ts'
import type { Server } from '#server.ts'

export const eventAuthRoute = answer(
  getEventAuth,
  async ({ origin, params }, { roomsForServers }: Pick<Server, 'roomsForServers'>) => {
    const authChain = await roomsForServers.eventAuth({ ...params, origin })
    return { auth_chain: [new RawJsonPages(authChain)] }
  },
)
