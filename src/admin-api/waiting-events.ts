/**
 * Shows administrators the events that have no place in their room yet, and does what they say with
 * them.
 *
 * @module
 */

import {
  discardWaitingEvent,
  getWaitingEvents,
  retryWaitingEvents,
} from '#endpoints/admin/waiting-events.ts'
import { answer, type Route } from '#http/endpoint.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Server } from '#server.ts'

type Needs = Pick<Server, 'rooms'>

const eventsDefault = 100

export const waitingEventRoutes: readonly Route<Needs>[] = [
  answer(getWaitingEvents, async ({ query: { from = 0, limit = eventsDefault } }, { rooms }) => {
    const found = await rooms.waitingEvents({ after: from, limit })
    const last = found.at(-1)
    return {
      events: found.map(({ roomId, eventId, origin, sinceTs, tries, problem }) => ({
        event_id: eventId,
        room_id: roomId,
        origin,
        since_ts: sinceTs,
        tries,
        ...(problem !== undefined && { problem }),
      })),
      ...(last !== undefined && found.length === limit && { next: last.number }),
    }
  }),
  answer(retryWaitingEvents, async ({ params: { roomId } }, { rooms }) => {
    if ((await rooms.version(roomId)) === undefined) {
      throw new MatrixError(404, 'M_NOT_FOUND', 'This server does not know the room.')
    }
    await rooms.retryWaiting(roomId)
    return {}
  }),
  answer(discardWaitingEvent, async ({ params: { roomId, eventId } }, { rooms }) => {
    if (await rooms.discardWaiting(roomId, eventId)) return {}
    throw new MatrixError(404, 'M_NOT_FOUND', 'No such event of the room waits.')
  }),
]
