/**
 * Tells clients event by event what happens.
 *
 * @module
 */

import { peekEvents } from '#endpoints/client-server/peeking-events.ts'
import { answer } from '#http/endpoint.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Server } from '#server.ts'
import { timeoutMsMax } from '#sync/sync.ts'
import { parseToken, streamOf } from '#sync/token.ts'

/** How long a client that does not say is made to wait. */
const timeoutMsDefault = 30_000

export const peekEventsRoute = answer(
  peekEvents,
  async ({ query, session, signal }, { presence, sync }: Pick<Server, 'presence' | 'sync'>) => {
    const { userId, deviceId, guest } = session
    const { from, room_id: roomId, timeout = timeoutMsDefault } = query
    if (guest && roomId === undefined) {
      throw new MatrixError(400, 'M_MISSING_PARAM', "Guests must say a 'room_id'.")
    }
    const timeoutMs = Math.min(timeout, timeoutMsMax)
    // Who looks into rooms in this way need not be there themselves.
    if (roomId === undefined) await presence.syncing(session, 'online', timeoutMs)
    return await sync.events({
      userId,
      deviceId,
      from: from === undefined ? undefined : streamOf(parseToken(from, 'from')),
      roomId,
      timeoutMs,
      signal,
    })
  },
)
