/**
 * Answers what clients asked before there was `/sync`.
 *
 * @module
 */

import { getOneEvent, initialSync } from '#endpoints/client-server/old-sync.ts'
import { roomInitialSync } from '#endpoints/client-server/room-initial-sync.ts'
import { answer } from '#http/endpoint.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Server } from '#server.ts'
import { tryVisibleEvent } from '#sync/context.ts'
import { presentEvents } from '#sync/present-events.ts'
import { tryRoomAccess } from '#sync/room-access.ts'

type Needs = Pick<Server, 'clock' | 'db' | 'publicRooms' | 'rooms' | 'sync'>

/** How many messages of a room are given if the client does not say, and at most. */
const limitDefault = 10
const limitMax = 100

export const initialSyncRoute = answer(
  initialSync,
  async ({ query, session: { userId, deviceId } }, { publicRooms, sync }: Needs) => {
    return await sync.initialSync({
      userId,
      deviceId,
      limit: Math.min(query.limit ?? limitDefault, limitMax),
      archived: query.archived ?? false,
      isPublished: publicRooms.isPublished,
    })
  },
)

export const roomInitialSyncRoute = answer(
  roomInitialSync,
  async ({ params, session: { userId, deviceId } }, { publicRooms, sync }: Needs) => {
    return await sync.roomInitialSync({
      userId,
      deviceId,
      roomId: params.roomId,
      limit: limitDefault,
      isPublished: publicRooms.isPublished,
    })
  },
)

export const oneEventRoute = answer(
  getOneEvent,
  async ({ params: { eventId }, session: { userId, deviceId } }, needs: Needs) => {
    // In the first room versions servers chose the IDs: there may be one in several rooms.
    for (const roomId of await needs.rooms.roomsWithEvent(eventId)) {
      const access = await tryRoomAccess(needs.rooms, userId, roomId)
      const event = access && (await tryVisibleEvent(needs.rooms, access, eventId))
      if (access === undefined || event === undefined) continue
      const presentation = { access, deviceId, room: 'with', relations: 'bundled' } as const
      const [shown] = await presentEvents(needs, [event], presentation)
      if (shown !== undefined) return shown
    }
    throw new MatrixError(404, 'M_NOT_FOUND', 'There is no such event, or you may not see it.')
  },
)
