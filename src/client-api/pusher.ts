/**
 * Keeps pushers.
 *
 * @module
 */

import { getPushers, postPusher } from '#endpoints/client-server/pusher.ts'
import { answer } from '#http/endpoint.ts'
import type { Server } from '#server.ts'

type Needs = Pick<Server, 'push'>

export const pushersRoute = answer(getPushers, async ({ session }, { push }: Needs) => ({
  pushers: await push.pushers.list(session.userId),
}))

export const postPusherRoute = answer(postPusher, async ({ session, body }, { push }: Needs) => {
  await push.pushers.set(session, body)
  return {}
})
