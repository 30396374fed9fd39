/**
 * Receiving one event for somebody who waits for the outcome.
 *
 * @module
 */

import type { EventId, RoomId, ServerName } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Pdu } from '#protocol/pdu.ts'
import type { Outcome } from './engine.ts'
import type { RoomParts } from './parts.ts'

/**
 * Takes an event into a room, after fetching what it lacks, once. Throws a `MatrixError` if the event
 * is not accepted: nothing of it is stored then.
 */
export async function receiveFilled(
  parts: Pick<RoomParts, 'engine' | 'gapFiller' | 'rooms'>,
  roomId: RoomId,
  pdu: Pdu,
  { origin, relay = false }: { readonly origin: ServerName; readonly relay?: boolean },
): Promise<EventId> {
  const { engine, gapFiller } = parts
  const receive = async () =>
    (await engine.receive(roomId, [pdu], { origin, relay, mustBeAccepted: true }))[0]
  let outcome = await receive()
  if (outcome?.outcome === 'missing') {
    const { prevEvents, authEvents } = outcome
    await gapFiller.fill(roomId, pdu, { prevEvents, authEvents, origin })
    outcome = await receive()
  }
  if (outcome === undefined)
    throw new MatrixError(404, 'M_NOT_FOUND', 'This room is not known here.')
  await assertAccepted(parts, roomId, outcome)
  return pdu.event_id
}

async function assertAccepted(
  { rooms }: Pick<RoomParts, 'rooms'>,
  roomId: RoomId,
  outcome: Outcome,
): Promise<void> {
  switch (outcome.outcome) {
    case 'rejected':
    case 'soft_failed':
      throw new MatrixError(403, 'M_FORBIDDEN', `The event is not allowed: ${outcome.rule}.`)
    case 'missing':
      throw new MatrixError(400, 'M_INVALID_PARAM', 'The history of the event cannot be had.')
    case 'known': {
      // A repeated request is answered as the first one was.
      const stored = await rooms.event(roomId, outcome.eventId)
      if (stored?.status === 'accepted') return
      throw new MatrixError(403, 'M_FORBIDDEN', 'The event is not allowed.')
    }
    default:
  }
}
