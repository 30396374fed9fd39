/**
 * Tells clients what is news in the part of their rooms that they look at.
 *
 * @module
 */

import { slidingSync } from '#endpoints/proposals/msc4186.ts'
import { answer } from '#http/endpoint.ts'
import { parseRoomId } from '#protocol/identifiers/room-id.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Server } from '#server.ts'
import { timeoutMsMax } from '#sync/sync.ts'
import { deviceMessages } from './sync.ts'

const listsMax = 100
const subscriptionsMax = 1_000

export const slidingSyncRoute = answer(
  slidingSync,
  async ({ query, body, session, signal }, needs: Pick<Server, 'presence' | 'sync'>) => {
    const { lists = {}, room_subscriptions: subscriptions = {}, extensions = {}, txn_id } = body
    checkCount('lists', lists, listsMax)
    checkCount('room_subscriptions', subscriptions, subscriptionsMax)
    for (const id of Object.keys(subscriptions)) {
      if (parseRoomId(id) !== undefined) continue
      const message = "The keys of 'room_subscriptions' must be room IDs such as !abc:example.org."
      throw new MatrixError(400, 'M_INVALID_PARAM', message)
    }
    const { set_presence: word = 'online', timeout: timeoutMs = 0 } = query
    await needs.presence.syncing(session, word, Math.min(timeoutMs, timeoutMsMax))
    const { body: answered, messages } = await needs.sync.slidingSync({
      userId: session.userId,
      deviceId: session.deviceId,
      connId: body.conn_id ?? '',
      pos: query.pos,
      timeoutMs,
      lists,
      subscriptions,
      extensions,
      signal,
    })
    const { to_device: ofDevice, ...others } = answered.extensions
    return {
      ...answered,
      ...(txn_id !== undefined && { txn_id }),
      extensions: {
        ...others,
        ...(ofDevice !== undefined && {
          to_device: { ...ofDevice, events: deviceMessages(messages) },
        }),
      },
    }
  },
)

function checkCount(name: string, of: object, most: number): void {
  if (Object.keys(of).length <= most) return
  throw new MatrixError(400, 'M_INVALID_PARAM', `'${name}' has more than ${most} entries.`)
}
