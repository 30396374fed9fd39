/**
 * Helps users of other servers into our rooms.
 *
 * @module
 */

import { makeJoin, sendJoinV1 } from '#endpoints/server-server/joins-v1.ts'
import { answer } from '#http/endpoint.ts'
import type { Server } from '#server.ts'
import { joinedRoom } from './joins-v2.ts'

type Needs = Pick<Server, 'roomsForServers' | 'serverName'>

/** Defaults to `[1]`. */
const defaultVersions = ['1']

export const makeJoinRoute = answer(
  makeJoin,
  async ({ origin, params, query }, { roomsForServers }: Needs) =>
    await roomsForServers.template({
      ...params,
      origin,
      membership: 'join',
      versions: query.ver ?? defaultVersions,
    }),
)

export const sendJoinV1Route = answer(
  sendJoinV1,
  async ({ origin, params, rawBody }, needs: Needs) => {
    const submission = { ...params, origin, event: rawBody, omitMembers: false }
    const { origin: ours, ...room } = await joinedRoom(needs, submission)
    return [200, { origin: ours, ...room }]
  },
)
