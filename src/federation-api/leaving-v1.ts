/**
 * Helps users of other servers out of our rooms.
 *
 * @module
 */

import { makeLeave, sendLeaveV1 } from '#endpoints/server-server/leaving-v1.ts'
import { answer } from '#http/endpoint.ts'
import type { Server } from '#server.ts'

type Needs = Pick<Server, 'roomsForServers'>

export const makeLeaveRoute = answer(
  makeLeave,
  async ({ origin, params }, { roomsForServers }: Needs) =>
    await roomsForServers.template({
      ...params,
      origin,
      membership: 'leave',
      versions: undefined,
    }),
)

export const sendLeaveV1Route = answer(
  sendLeaveV1,
  async ({ origin, params, rawBody }, { roomsForServers }: Needs) => {
    await roomsForServers.acceptLeave({ ...params, origin, event: rawBody })
    return [200, {}]
  },
)
