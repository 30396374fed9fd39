/**
 * Lists what a user was notified of.
 *
 * @module
 */

import { getNotifications } from '#endpoints/client-server/notifications.ts'
import { answer, type Session } from '#http/endpoint.ts'
import type { JsonObject } from '#protocol/json.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import { type ListedNotification, listNotifications } from '#push/listing.ts'
import type { Server } from '#server.ts'
import { strippedEvent } from '#sync/client-event.ts'
import { presentEvents, presentState } from '#sync/present-events.ts'
import { tryRoomAccess } from '#sync/room-access.ts'
import { visibleEvents } from '#sync/visible-events.ts'

type Needs = Pick<Server, 'clock' | 'db' | 'rooms'>

/** How many notifications an answer holds if the client does not say, and at most. */
const limitDefault = 20
const limitMax = 100

export const notificationsRoute = answer(
  getNotifications,
  async ({ query, session }, needs: Needs) => {
    const limit = Math.max(1, Math.min(query.limit ?? limitDefault, limitMax))
    const before = query.from === undefined ? undefined : positionIn(query.from)
    const wish = { before, limit, highlights: query.only === 'highlight' }
    const found = await listNotifications(needs, session.userId, wish)
    const shown = await Promise.all(found.map((one) => eventOf(needs, session, one)))
    const last = found.length === limit ? found.at(-1) : undefined
    return {
      ...(last !== undefined && { next_token: `n${last.stream}` }),
      notifications: found.flatMap(({ actions, roomId, ts, isRead }, index) => {
        const event = shown[index]
        if (event === undefined) return []
        return [{ actions: [...actions], event, read: isRead, room_id: roomId, ts }]
      }),
    }
  },
)

function positionIn(token: string): number {
  const [, digits] = /^n([0-9]{1,15})$/.exec(token) ?? []
  if (digits !== undefined) return Number(digits)
  throw new MatrixError(400, 'M_INVALID_PARAM', "'from' is no token that was given here.")
}

/** The event as the user may see it; `undefined` if they may not, or it is gone. */
async function eventOf(
  needs: Needs,
  { userId, deviceId }: Session,
  { roomId, eventId, ts }: ListedNotification,
): Promise<JsonObject | undefined> {
  const membership = await needs.rooms.membership(userId, roomId)
  const stored = await needs.rooms.event(roomId, eventId)
  if (membership?.eventId === eventId && membership.membership === 'invite') {
    const shown = membership.strippedState.find(
      ({ type, state_key }) => type === 'm.room.member' && state_key === userId,
    )
    const invite = shown ?? (stored && strippedEvent(stored.pdu))
    const origin_server_ts = stored?.pdu.origin_server_ts ?? ts
    return invite && { ...invite, event_id: eventId, origin_server_ts }
  }
  const access = await tryRoomAccess(needs.rooms, userId, roomId)
  // Their own invite is before the room as it is known here, if it came from elsewhere.
  if (access !== undefined && stored?.status === 'outlier' && stored.pdu.state_key === userId) {
    return presentState(needs, [stored.pdu], { room: 'without' })[0]
  }
  if (access === undefined || stored?.position === undefined) return undefined
  const visible = await visibleEvents(needs.rooms, access, [stored])
  const presentation = { access, deviceId, room: 'without', relations: 'bundled' } as const
  return (await presentEvents(needs, visible, presentation))[0]
}
