/**
 * One turn of a room's queue: events are judged one after the other, each on what those before it
 * have made of the room, and become one batch.
 *
 * @module
 */

import { hasRedactionPower } from '#protocol/auth-rules/redaction-power.ts'
import type { Verdict } from '#protocol/auth-rules/verdict.ts'
import type { EventId, ServerName } from '#protocol/identifiers/ids.ts'
import type { Pdu } from '#protocol/pdu.ts'
import type { Reader } from '#storage/database.ts'
import { waitingRedactions } from '#storage/gaps.ts'
import type { Batch, NewEvent } from './batch.ts'
import type { Outcome } from './engine.ts'
import {
  checkOnAuthEvents,
  checkOnState,
  referencesOf,
  stateAfterOf,
  stateBeforeOf,
  stateOfEvents,
} from './judge.ts'
import type { EventFacts, Room } from './room.ts'
import type { EventStatus } from './rooms.ts'

export interface Judging {
  readonly db: Reader
  readonly mustBeAccepted: boolean
  readonly statesBefore: ReadonlyMap<EventId, readonly EventId[]>
  /** Events of the past: given these places, not judged by the current state, and no extremities. */
  readonly place: 'end' | { readonly next: () => { stream: number; sub: number } }
  /** The event's own state is newer than what we think the current one is, so that is not asked. */
  readonly isNewestState?: boolean
  /** The servers an accepted event is sent to. */
  destinationsOf(pdu: Pdu): Promise<readonly ServerName[]>
}

/** Judges an event and adds it to the batch, unless nothing of it is to be stored. */
export async function takeEvent(batch: Batch, pdu: Pdu, judging: Judging): Promise<Outcome> {
  const { room } = batch
  const eventId = pdu.event_id
  const known = (await room.facts([eventId])).get(eventId)
  // What has a place in the room has a verdict that stands. Outliers have none yet.
  if (known?.stateAfter !== undefined) return { eventId, outcome: 'known' }
  const references = await referencesOf(room, pdu)
  const told = judging.statesBefore.get(eventId)
  const { lacking, prevs } = references
  if (lacking.authEvents.length > 0 || (lacking.prevEvents.length > 0 && told === undefined)) {
    return { eventId, outcome: 'missing', ...lacking }
  }
  const stateBefore =
    told === undefined ? await stateBeforeOf(room, prevs) : await stateOfEvents(room, told)
  const { status, rule } = await judge(room, pdu, stateBefore, judging)
  if (status !== 'accepted' && judging.mustBeAccepted) {
    return { eventId, outcome: status, rule: rule ?? '' }
  }
  const event: NewEvent = {
    pdu,
    status,
    rule,
    stateBefore,
    stateAfter: status === 'rejected' ? stateBefore : await stateAfterOf(room, pdu, stateBefore),
    place: status === 'accepted' ? placeFor(judging) : 'nowhere',
    missingParents: lacking.prevEvents,
    destinations: status === 'accepted' ? await judging.destinationsOf(pdu) : [],
  }
  batch.add(event)
  if (status === 'accepted') {
    if (judging.place === 'end') await advanceHead(room, pdu)
    await applyRedactions(batch, pdu, stateBefore, judging.db)
    return { eventId, outcome: 'accepted' }
  }
  return { eventId, outcome: status, rule: rule ?? '' }
}

function placeFor({ place }: Judging): NewEvent['place'] {
  return place === 'end' ? 'end' : place.next()
}

async function judge(
  room: Room,
  pdu: Pdu,
  stateBefore: number,
  { place, isNewestState }: Judging,
): Promise<{ status: Exclude<EventStatus, 'outlier'>; rule: string | undefined }> {
  const refused = (status: 'rejected' | 'soft_failed', verdict: Verdict) => ({
    status,
    rule: verdict.allowed ? undefined : verdict.rule,
  })
  const onAuthEvents = await checkOnAuthEvents(room, pdu)
  if (!onAuthEvents.allowed) return refused('rejected', onAuthEvents)
  // Passes authorization rules based on the state before the event, otherwise it is rejected.
  const onStateBefore = await checkOnState(room, pdu, stateBefore)
  if (!onStateBefore.allowed) return refused('rejected', onStateBefore)
  // Passes authorization rules based on the current state of the room, otherwise it is soft failed.
  if (place === 'end' && !isNewestState && stateBefore !== room.head.state) {
    const onCurrentState = await checkOnState(room, pdu, room.head.state)
    if (!onCurrentState.allowed) return refused('soft_failed', onCurrentState)
  }
  return { status: 'accepted', rule: undefined }
}

/** An accepted event takes the place of its parents among the forward extremities. */
async function advanceHead(room: Room, pdu: Pdu): Promise<void> {
  // A parent that was missing has a child here already.
  if (room.missingParents.has(pdu.event_id)) return
  const kept = room.head.extremities.filter((id) => !pdu.prev_events.includes(id))
  const extremities = [...kept, pdu.event_id]
  const facts = await room.facts(extremities)
  const versions = extremities.flatMap((id) => facts.get(id)?.stateAfter ?? [])
  room.head = { extremities, state: await room.resolve(versions) }
}

/** Applies the redaction that an event is, and those that wait for it. */
async function applyRedactions(
  batch: Batch,
  pdu: Pdu,
  stateBefore: number,
  db: Reader,
): Promise<void> {
  const { room } = batch
  if (pdu.type === 'm.room.redaction' && pdu.redacts !== undefined) {
    const target = (await room.pdus([pdu.redacts])).get(pdu.redacts)
    const facts = (await room.facts([pdu.redacts])).get(pdu.redacts)
    if (target === undefined || facts === undefined || facts.status === 'outlier') {
      batch.waitingRedactions.push({ redacts: pdu.redacts, eventId: pdu.event_id })
    } else {
      await redactIfAllowed(batch, { redaction: pdu, stateBefore, target })
    }
  }
  for (const redactionId of await waitingRedactions(db, room.roomNid, pdu.event_id)) {
    const redaction = (await room.pdus([redactionId])).get(redactionId)
    const facts: EventFacts | undefined = (await room.facts([redactionId])).get(redactionId)
    if (redaction === undefined || facts?.stateBefore === undefined) continue
    await redactIfAllowed(batch, { redaction, stateBefore: facts.stateBefore, target: pdu })
  }
}

async function redactIfAllowed(
  batch: Batch,
  act: { readonly redaction: Pdu; readonly stateBefore: number; readonly target: Pdu },
): Promise<void> {
  const { redaction, stateBefore, target } = act
  if (target.type === 'm.room.create') return
  const keys = [
    ['m.room.create', ''],
    ['m.room.power_levels', ''],
  ] as const
  const state = await batch.room.authState(stateBefore, keys)
  if (hasRedactionPower(redaction, target, state)) batch.redact(target, redaction.event_id)
}

/** The order in which events of one batch are taken: what others refer to first. */
export function inOrder(pdus: readonly Pdu[]): Pdu[] {
  const byId = new Map(pdus.map((pdu) => [pdu.event_id, pdu]))
  const ordered: Pdu[] = []
  const state = new Map<EventId, 'open' | 'done'>()
  const visit = (start: Pdu) => {
    const stack: { readonly pdu: Pdu; readonly rest: EventId[] }[] = []
    const open = (pdu: Pdu) => {
      state.set(pdu.event_id, 'open')
      stack.push({ pdu, rest: [...pdu.auth_events, ...pdu.prev_events] })
    }
    open(start)
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const next = top.rest.pop()
      const parent = next === undefined ? undefined : byId.get(next)
      if (parent !== undefined && !state.has(parent.event_id)) {
        open(parent)
      } else if (next === undefined) {
        state.set(top.pdu.event_id, 'done')
        ordered.push(top.pdu)
        stack.pop()
      }
    }
  }
  for (const pdu of byId.values()) if (!state.has(pdu.event_id)) visit(pdu)
  return ordered
}
