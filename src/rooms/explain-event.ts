/**
 * What this server thinks of an event, and why: verdict and rule, signatures and keys, the states it
 * was judged against, what it refers to, and how the state before it was resolved.
 *
 * Little of it is stored but the verdict. The rest is done once more: the checks depend on nothing
 * but the event, the states and the keys, and those are kept for ever. Where doing it once more does
 * not lead to what is stored, that is said.
 *
 * @module
 */

import type { EventId, UserId } from '#protocol/identifiers/ids.ts'
import type { Pdu } from '#protocol/pdu.ts'
import type { Reader } from '#storage/database.ts'
import { type EventRow, eventRows, verdictRow } from '#storage/events.ts'
import { type RefusedEvent, refusalsOf } from '#storage/refused-events.ts'
import { stagedEvent } from '#storage/staging.ts'
import { type ExplainedCheck, explainAuthEventsCheck, explainStateCheck } from './explain-checks.ts'
import { explainResolution, type Resolution } from './explain-resolution.ts'
import { type ExplainedSignatures, explainSignatures, type OwnKey } from './explain-signatures.ts'
import { type EventFacts, factsOf } from './held-events.ts'
import type { Room } from './room.ts'
import type { EventStatus, Position } from './rooms.ts'
import { sameState } from './state-versions.ts'

/** An event that the event refers to. */
export interface ExplainedReference {
  readonly eventId: EventId
  /** `missing`: we do not have it. */
  readonly status: EventStatus | 'missing'
  readonly type?: string
  readonly stateKey?: string | undefined
  readonly sender?: UserId
}

/** How the state before the event came about. */
export type StateBefore =
  /** An outlier has no place in the room's history. */
  | { readonly basis: 'none' }
  /** It is the state after its parent, or after all its parents alike. */
  | { readonly basis: 'parents'; readonly size: number }
  /** The states after its parents were resolved. */
  | {
      readonly basis: 'resolved'
      readonly size: number
      readonly parents: readonly EventId[]
      readonly resolution: Resolution
    }
  /** A parent was not here when the event came: another server told the state. */
  | {
      readonly basis: 'told'
      readonly size: number
      /** Whether the parents are here by now, and the states after them lead to another state. */
      readonly isDisputed: boolean
    }

export interface EventExplanation extends ExplainedSignatures {
  readonly pdu: Pdu
  readonly status: EventStatus
  /** Why it was rejected or soft-failed: the rule that decided. */
  readonly rule: string | undefined
  readonly position: Position | undefined
  readonly redactedBy: EventId | undefined
  readonly prevEvents: readonly ExplainedReference[]
  readonly authEvents: readonly ExplainedReference[]
  /** In the order of checking, up to the first that refused it. */
  readonly checks: readonly ExplainedCheck[]
  readonly stateBefore: StateBefore
  /** Which servers said that they could not use it, if we sent it, and why. */
  readonly refusals: readonly RefusedEvent[]
}

/** Explains an event of a room; `undefined` if it is not stored. */
export async function explainEvent(
  { db, own }: { readonly db: Reader; readonly own: OwnKey | undefined },
  room: Room,
  eventId: EventId,
): Promise<EventExplanation | undefined> {
  const [row] = await eventRows(db, room.roomNid, [eventId])
  if (row === undefined) return undefined
  const pdu = pduOf(room, row)
  const facts = factsOf(row)
  const verdict = await verdictRow(db, room.roomNid, eventId)
  return {
    pdu,
    status: facts.status,
    rule: verdict?.rule,
    position: facts.position,
    redactedBy: row.redacted_by ?? undefined,
    ...(await explainSignatures(db, own, pdu)),
    prevEvents: await references(room, pdu.prev_events),
    authEvents: await references(room, pdu.auth_events),
    checks: await checksOf(room, pdu, facts, verdict?.current_state ?? undefined),
    stateBefore: await stateBeforeOf(room, pdu, facts),
    refusals: await refusalsOf(db, room.roomId, eventId),
  }
}

/** Why an event that was taken in has no place in its room yet; `undefined` for one that does not wait. */
export async function explainWaiting(db: Reader, eventId: EventId): Promise<string | undefined> {
  const row = await stagedEvent(db, eventId)
  if (row === undefined) return undefined
  const came = `It came from ${row.origin} and waits for its place in ${row.room_id}`
  if (row.problem !== null) return `${came}. It is not tried any more: ${row.problem}`
  return `${came}: what it refers to is not here, and was asked for ${row.tries} times.`
}

function pduOf(room: Room, row: EventRow): Pdu {
  return room.events.cachedPdu(row.event_id) ?? room.events.pduOfRow(row)
}

async function references(room: Room, eventIds: readonly EventId[]): Promise<ExplainedReference[]> {
  const facts = await room.events.facts(eventIds)
  const pdus = await room.events.pdus(eventIds)
  return eventIds.map((eventId) => {
    const status = facts.get(eventId)?.status
    const pdu = pdus.get(eventId)
    if (status === undefined || pdu === undefined) return { eventId, status: 'missing' }
    return { eventId, status, type: pdu.type, stateKey: pdu.state_key, sender: pdu.sender }
  })
}

async function checksOf(
  room: Room,
  pdu: Pdu,
  { stateBefore }: EventFacts,
  currentState: number | undefined,
): Promise<ExplainedCheck[]> {
  const checks = [await explainAuthEventsCheck(room, pdu)]
  const goOn = () => checks.every(({ verdict }) => verdict.allowed)
  if (stateBefore !== undefined && goOn()) {
    const which = { against: 'state_before', version: stateBefore } as const
    checks.push(await explainStateCheck(room, pdu, which))
  }
  if (currentState !== undefined && goOn()) {
    const which = { against: 'current_state', version: currentState } as const
    checks.push(await explainStateCheck(room, pdu, which))
  }
  return checks
}

async function stateBeforeOf(
  room: Room,
  { prev_events: parents }: Pdu,
  { stateBefore }: EventFacts,
): Promise<StateBefore> {
  if (stateBefore === undefined) return { basis: 'none' }
  const pairs = await room.states.pairs(stateBefore)
  const size = pairs.length / 2
  const facts = await room.events.facts(parents)
  const versions = [...new Set(parents.flatMap((id) => facts.get(id)?.stateAfter ?? []))]
  const areHere = parents.every((id) => facts.get(id)?.stateAfter !== undefined)
  if (areHere && versions.length < 2) {
    const [version = 0] = versions
    const isParents = sameState(await room.states.pairs(version), pairs)
    return isParents ? { basis: 'parents', size } : { basis: 'told', size, isDisputed: true }
  }
  if (!areHere) return { basis: 'told', size, isDisputed: false }
  const resolution = await explainResolution(room, versions)
  if (!sameState(resolution.resolved, pairs)) return { basis: 'told', size, isDisputed: true }
  const ofVersion = (version: number) =>
    parents.find((id) => facts.get(id)?.stateAfter === version) ?? []
  return { basis: 'resolved', size, parents: versions.flatMap(ofVersion), resolution }
}
