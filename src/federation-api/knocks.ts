/**
 * Takes knocks of users of other servers.
 *
 * @module
 */

import { makeKnock, sendKnock } from '#endpoints/server-server/knocks.ts'
import { answer } from '#http/endpoint.ts'
import { RawJson } from '#http/raw-json.ts'
import type { Server } from '#server.ts'

type Needs = Pick<Server, 'roomsForServers'>

export const makeKnockRoute = answer(
  makeKnock,
  async ({ origin, params, query }, { roomsForServers }: Needs) =>
    await roomsForServers.template({
      ...params,
      origin,
      membership: 'knock',
      versions: query.ver,
    }),
)

export const sendKnockRoute = answer(
  sendKnock,
  async ({ origin, params, rawBody }, { roomsForServers }: Needs) => {
    const state = await roomsForServers.acceptKnock({ ...params, origin, event: rawBody })
    return { knock_room_state: state.map((bytes) => new RawJson(bytes)) }
  },
)
