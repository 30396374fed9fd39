/**
 * Lists delayed events, and lets them be put off, taken back or sent now.
 *
 * @module
 */

import {
  actOnDelayedEvent,
  getDelayedEvent,
  getDelayedEvents,
  sendDelayedEvent,
  updateDelayedEvent,
} from '#endpoints/proposals/msc4140.ts'
import { answer } from '#http/endpoint.ts'
import type { RoomId, UserId } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Server } from '#server.ts'
import { requireJoined } from '#sync/room-access.ts'
import type { DelayedEventRow, NewDelayedEvent } from '#users/delayed-events.ts'
import { stickyIn } from './msc4354.ts'
import { checkSuspendedSending, checkSuspendedState } from './suspension.ts'

type Needs = Pick<Server, 'delayedEvents'>

export const delayedEventRoutes = [
  answer(getDelayedEvents, async ({ session }, { delayedEvents }: Needs) => {
    const rows = await delayedEvents.list(session.userId)
    return { delayed_events: rows.map(shown) }
  }),
  answer(getDelayedEvent, async ({ params, session }, { delayedEvents }: Needs) =>
    shown(await delayedEvents.get(params.delayId, session.userId)),
  ),
  answer(updateDelayedEvent, async ({ params, body, session }, { delayedEvents }: Needs) => {
    await delayedEvents.act(params.delayId, body.action, session.userId)
    return {}
  }),
  answer(actOnDelayedEvent, async ({ params }, { delayedEvents }: Needs) => {
    await delayedEvents.act(params.delayId, params.action)
    return {}
  }),
]

/** Puts off an event that a client gives whole. */
export const sendDelayedEventRoute = answer(
  sendDelayedEvent,
  async (
    { params: { roomId, eventType, txnId }, query, body, session },
    needs: Pick<Server, 'clientTransactions' | 'delayedEvents' | 'rooms'>,
  ) => {
    const { userId, deviceId } = session
    const { delay_ms: delayMs = body.delay, state_key: stateKey, content } = body
    if (delayMs === undefined) {
      throw new MatrixError(400, 'M_MISSING_PARAM', "The body has no 'delay_ms'.")
    }
    if (stateKey === undefined)
      await checkSuspendedSending(needs, session, { roomId, redacts: undefined })
    else checkSuspendedState(session, { type: eventType, stateKey, content })
    const key = { userId, deviceId, path: `rooms/${roomId}/delayed_event/${eventType}`, txnId }
    const event = { sender: userId, roomId, type: eventType, stateKey, content, delayMs }
    const delay_id = await needs.clientTransactions.once<string>(key, (alongside) =>
      scheduleEvent(needs, { ...event, ...stickyIn(query), alongside }),
    )
    return { delay_id }
  },
)

function shown({ state_key, ...row }: DelayedEventRow) {
  return {
    delay_id: row.delay_id,
    room_id: row.room_id,
    type: row.type,
    ...(state_key !== null && { state_key }),
    delay: row.delay_ms,
    delay_ms: row.delay_ms,
    running_since: row.running_since_ts,
    scheduled_at: row.running_since_ts,
    content: JSON.parse(row.content_json) as JsonObject,
  }
}

/** Membership changes and redactions have other consequences than being sent: they are not put off. */
const notDelayed = new Set(['m.room.member', 'm.room.redaction', 'm.room.canonical_alias'])

/** Puts an event off that somebody wants sent later. */
export async function scheduleEvent(
  { rooms, delayedEvents }: Pick<Server, 'delayedEvents' | 'rooms'>,
  event: NewDelayedEvent & { readonly roomId: RoomId; readonly sender: UserId },
): Promise<string> {
  if (notDelayed.has(event.type)) {
    throw new MatrixError(400, 'M_INVALID_PARAM', `'${event.type}' cannot be sent later.`)
  }
  await requireJoined(rooms, event.sender, event.roomId)
  return await delayedEvents.schedule(event)
}
