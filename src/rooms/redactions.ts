/**
 * Redactions: applied once the redaction and its target are both here, and the redaction may.
 *
 * They should not be sent to clients until both the redaction event and the event the redaction
 * affects have been received, and can be validated. So what another server redacts before we have it
 * stands nowhere in the timeline, until the target comes. Until room version 2 the auth rules decide,
 * and a redaction is shown at once.
 *
 * https://spec.matrix.org/v1.19/rooms/v12/#handling-redactions
 *
 * @module
 */

import { hasRedactionPower } from '#protocol/auth-rules/redaction-power.ts'
import type { EventId } from '#protocol/identifiers/ids.ts'
import type { Pdu } from '#protocol/pdu.ts'
import type { Reader } from '#storage/database.ts'
import { waitingRedactions } from '#storage/gaps.ts'
import type { Batch } from './batch.ts'
import type { Room } from './room.ts'

/** Whether clients are not shown the event until that comes which it redacts. */
export async function withholds(room: Room, pdu: Pdu): Promise<boolean> {
  if (pdu.type !== 'm.room.redaction' || pdu.version.redactionAuthRule) return false
  return pdu.redacts !== undefined && (await targetOf(room, pdu.redacts)) === undefined
}

/** Applies the redaction that an accepted event is, or lets it wait. */
export async function redactTarget(batch: Batch, pdu: Pdu, stateBefore: number): Promise<void> {
  const { redacts } = pdu
  if (pdu.type !== 'm.room.redaction' || redacts === undefined) return
  const target = await targetOf(batch.room, redacts)
  if (target === undefined) {
    batch.waitingRedactions.push({ redacts, eventId: pdu.event_id })
    batch.room.hasWaitingRedactions = true
  } else {
    await redactIfAllowed(batch, { redaction: pdu, stateBefore, target })
  }
}

/** Applies the redactions that wait for an event, which has come. */
export async function applyWaitingRedactions(batch: Batch, pdu: Pdu, db: Reader): Promise<void> {
  const { room } = batch
  if (!room.hasWaitingRedactions) return
  const eventId = pdu.event_id
  const stored = await waitingRedactions(db, room.roomNid, eventId)
  const fresh = batch.waitingRedactions.filter(({ redacts }) => redacts === eventId)
  const waiting = new Set([...stored, ...fresh.map((each) => each.eventId)])
  if (waiting.size > 0) batch.noLongerAwaited.push(eventId)
  for (const redactionId of waiting) {
    const redaction = (await room.events.pdus([redactionId])).get(redactionId)
    const facts = (await room.events.facts([redactionId])).get(redactionId)
    if (redaction === undefined || facts?.stateBefore === undefined) continue
    const { stateBefore } = facts
    const isApplied = await redactIfAllowed(batch, { redaction, stateBefore, target: pdu })
    const isShown = await isInTimeline(batch, redactionId)
    if (isApplied && !isShown) batch.lateRedactions.push({ eventId: redactionId, pdu: redaction })
  }
}

/** The event to redact, if it has a place in the room. */
async function targetOf(room: Room, eventId: EventId): Promise<Pdu | undefined> {
  const facts = (await room.events.facts([eventId])).get(eventId)
  if (facts?.stateAfter === undefined) return undefined
  return (await room.events.pdus([eventId])).get(eventId)
}

async function isInTimeline(batch: Batch, eventId: EventId): Promise<boolean> {
  const inBatch = batch.events.find(({ pdu }) => pdu.event_id === eventId)
  if (inBatch !== undefined) return inBatch.place !== 'nowhere'
  return (await batch.room.events.facts([eventId])).get(eventId)?.position !== undefined
}

/** Gives whether the redaction has effect. */
async function redactIfAllowed(
  batch: Batch,
  act: { readonly redaction: Pdu; readonly stateBefore: number; readonly target: Pdu },
): Promise<boolean> {
  const { redaction, stateBefore, target } = act
  // In the older versions this would take away what the auth rules and all servers read.
  if (target.type === 'm.room.create') return false
  const keys = [
    ['m.room.create', ''],
    ['m.room.power_levels', ''],
  ] as const
  const state = await batch.room.authState(stateBefore, keys)
  if (!hasRedactionPower(redaction, target, state)) return false
  batch.redact(target, redaction.event_id)
  return true
}
