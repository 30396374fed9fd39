/**
 * Finds the event of a room nearest to a time.
 *
 * @module
 */

import { getEventByTimestamp } from '#endpoints/client-server/room-event-by-timestamp.ts'
import { answer } from '#http/endpoint.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Server } from '#server.ts'
import { type RoomAccess, roomAccess } from '#sync/room-access.ts'
import { visibleEvents } from '#sync/visible-events.ts'

type Needs = Pick<Server, 'rooms'>

interface Search {
  readonly ts: number
  readonly direction: 'backwards' | 'forwards'
}

/** Events near the time that are looked at for one that the user may see: first few, then more. */
const lookedAt = [10, 200] as const

export const eventByTimestampRoute = answer(
  getEventByTimestamp,
  async ({ params: { roomId }, query, session: { userId } }, needs: Needs) => {
    const access = await roomAccess(needs.rooms, userId, roomId)
    const direction = query.dir === 'f' ? ('forwards' as const) : ('backwards' as const)
    const search = { ts: query.ts, direction }
    const known = await nearest(needs, access, search)
    // Whoever is not in the room any more is shown what we have.
    const isAsked = known?.origin_server_ts !== query.ts && access.kind === 'joined'
    const isNearer = isAsked && (await needs.rooms.fetchByTime(roomId, search))
    const found = isNearer ? await nearest(needs, access, search) : known
    if (found !== undefined) return found
    const words = direction === 'forwards' ? 'at or after' : 'at or before'
    throw new MatrixError(404, 'M_NOT_FOUND', `There is no event ${words} ${query.ts}.`)
  },
)

/** The nearest event that is known here and that the user may see. */
async function nearest({ rooms }: Needs, access: RoomAccess, search: Search) {
  for (const limit of lookedAt) {
    const near = await rooms.eventsByTime(access.roomId, { ...search, limit })
    const stored = await rooms.events(
      access.roomId,
      near.map(({ eventId }) => eventId),
    )
    const [visible] = await visibleEvents(rooms, access, stored)
    if (visible !== undefined) {
      const { event_id, origin_server_ts } = visible.stored.pdu
      return { event_id, origin_server_ts }
    }
    if (near.length < limit) break
  }
  return undefined
}
