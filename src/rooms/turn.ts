/**
 * One turn of a room's queue: events are judged one after the other, each on what those before it
 * have made of the room, and become one batch.
 *
 * @module
 */

import assert from 'node:assert/strict'
import type { Slices } from '#io/slices.ts'
import type { Verdict } from '#protocol/auth-rules/verdict.ts'
import type { EventId, ServerName } from '#protocol/identifiers/ids.ts'
import type { Pdu } from '#protocol/pdu.ts'
import { eventAt } from '#protocol/state-resolution/state-pairs.ts'
import type { Reader } from '#storage/database.ts'
import type { Batch, NewEvent } from './batch.ts'
import type { Outcome, StateBefore, StatesBefore } from './engine.ts'
import { noteIfGuessed } from './guessed-states.ts'
import type { EventFacts } from './held-events.ts'
import {
  checkOnAuthEvents,
  checkOnState,
  referencesOf,
  stateAfterOf,
  stateBeforeOf,
  stateOfEvents,
} from './judge.ts'
import { type StateOrigin, unknownState, withClaims } from './partial-room.ts'
import { checkOnPolicy } from './policy.ts'
import { applyWaitingRedactions, redactTarget, withholds } from './redactions.ts'
import type { Room } from './room.ts'
import type { EventStatus } from './rooms.ts'

export interface Judging {
  readonly db: Reader
  readonly mustBeAccepted: boolean
  readonly statesBefore: StatesBefore
  /** Events of the past: given these places, not judged by the current state, and no extremities. */
  readonly place: 'end' | { readonly next: () => { stream: number; sub: number } }
  /** The event's own state is newer than what we think the current one is, so that is not asked. */
  readonly isNewestState?: boolean
  /** The event is not judged by the room's policy server: the room is made, or entered, by it. */
  readonly withoutPolicy?: boolean
  /** The event is our join of a room whose members were left out. */
  readonly isPartialJoin?: boolean
  /** The servers an accepted event is sent to. */
  destinationsOf(pdu: Pdu): Promise<readonly ServerName[]>
}

/** Judges an event and adds it to the batch, unless nothing of it is to be stored. */
export async function takeEvent(batch: Batch, pdu: Pdu, judging: Judging): Promise<Outcome> {
  const { room } = batch
  const eventId = pdu.event_id
  const known = (await room.events.facts([eventId])).get(eventId)
  // What has a place in the room has a verdict that stands. Outliers have none yet.
  if (known?.stateAfter !== undefined) return { eventId, outcome: 'known' }
  const references = await referencesOf(room, pdu)
  const told = judging.statesBefore.get(eventId)
  const { lacking, prevs } = references
  if (lacking.authEvents.length > 0 || (lacking.prevEvents.length > 0 && told === undefined)) {
    return { eventId, outcome: 'missing', ...lacking }
  }
  if (!(await isUsable(room, told))) return { eventId, outcome: 'missing', ...lacking }
  const stateBefore = await withClaims(room, pdu, await givenState(room, told, prevs))
  const isStateKnown = told !== 'unknown' && (room.partial === undefined || judging.place === 'end')
  const circumstances = { ...judging, stateBefore, isStateKnown }
  const { status, rule, byPolicy } = await judge(room, pdu, circumstances)
  if (status !== 'accepted' && judging.mustBeAccepted) {
    return { eventId, outcome: status, rule: rule ?? '' }
  }
  const passed = await parentsThroughRefused(room, pdu)
  const missingParents = await unplacedOf(room, passed)
  const destinations = status === 'accepted' ? await judging.destinationsOf(pdu) : []
  const isWithheld =
    destinations.length === 0 && missingParents.length === 0 && (await withholds(room, pdu))
  const event: NewEvent = {
    pdu,
    status,
    rule,
    ...(status === 'soft_failed' && { currentState: room.head.state }),
    ...(byPolicy && { byPolicy }),
    stateBefore,
    stateAfter: status === 'rejected' ? stateBefore : await stateAfterOf(room, pdu, stateBefore),
    place: status === 'accepted' && !isWithheld ? placeFor(judging) : 'nowhere',
    missingParents,
    destinations,
    origin: originOf(told, judging),
    isLive: judging.place === 'end',
  }
  batch.add(event)
  if (told === undefined) noteIfGuessed(batch, pdu)
  if (status === 'accepted') {
    if (judging.place === 'end')
      await advanceHead(room, pdu, { passed, isKnown: known !== undefined })
    await redactTarget(batch, pdu, stateBefore)
  }
  await applyWaitingRedactions(batch, pdu, judging.db)
  if (status === 'accepted') return { eventId, outcome: 'accepted' }
  return { eventId, outcome: status, rule: rule ?? '' }
}

/** Whether what was told of the state before an event still holds. */
async function isUsable(room: Room, told: StateBefore | undefined): Promise<boolean> {
  // It is known meanwhile, so it can be asked for.
  if (told === 'unknown') return room.partial !== undefined
  if (told === undefined || !('after' in told)) return true
  return room.partial === undefined && (await unplacedOf(room, told.after)).length === 0
}

async function givenState(
  room: Room,
  told: StateBefore | undefined,
  prevs: readonly EventFacts[],
): Promise<number> {
  if (told === undefined) return await stateBeforeOf(room, prevs)
  if (told === 'unknown') return await unknownState(room)
  if (!('after' in told)) return await stateOfEvents(room, told)
  return await stateBeforeOf(room, [...(await room.events.facts(told.after)).values()])
}

function originOf(told: StateBefore | undefined, { isPartialJoin }: Judging): StateOrigin {
  if (isPartialJoin) return 'join'
  if (told === 'unknown') return 'unknown'
  return told === undefined ? 'parents' : 'told'
}

function placeFor({ place }: Judging): NewEvent['place'] {
  return place === 'end' ? 'end' : place.next()
}

export interface Circumstances extends Pick<Judging, 'place' | 'isNewestState' | 'withoutPolicy'> {
  readonly stateBefore: number
  /** Whether `stateBefore` is the state before the event, rather than one that stands for it. */
  readonly isStateKnown: boolean
}

/** The checks performed on receipt of a PDU that need the room, which stands at its `head`. */
export async function judge(
  room: Room,
  pdu: Pdu,
  { stateBefore, isStateKnown, place, isNewestState, withoutPolicy }: Circumstances,
): Promise<{
  status: Exclude<EventStatus, 'outlier'>
  rule: string | undefined
  /** Whether it was the room's policy server that refused it. */
  byPolicy?: boolean
}> {
  const refused = (status: 'rejected' | 'soft_failed', verdict: Verdict) => ({
    status,
    rule: verdict.allowed ? undefined : verdict.rule,
  })
  const onAuthEvents = await checkOnAuthEvents(room, pdu)
  if (!onAuthEvents.allowed) return refused('rejected', onAuthEvents)
  // Passes authorization rules based on the state before the event, otherwise it is rejected.
  if (isStateKnown) {
    const onStateBefore = await checkOnState(room, pdu, stateBefore)
    if (!onStateBefore.allowed) return refused('rejected', onStateBefore)
  }
  // Passes authorization rules based on the current state of the room, otherwise it is soft failed.
  if (place === 'end' && !isNewestState && stateBefore !== room.head.state) {
    const current = await withClaims(room, pdu, room.head.state)
    const onCurrentState = await checkOnState(room, pdu, current)
    if (!onCurrentState.allowed) return refused('soft_failed', onCurrentState)
  }
  // Is validated by the Policy Server, if the room is using a Policy Server, otherwise it is "soft
  // failed".
  if (place === 'end' && !withoutPolicy) {
    const onPolicy = await checkOnPolicy(room, pdu)
    if (!onPolicy.allowed) return { ...refused('soft_failed', onPolicy), byPolicy: true }
  }
  return { status: 'accepted', rule: undefined }
}

/**
 * An accepted event takes the place of its parents among the forward extremities. So they are never
 * empty: the event itself is one, unless an accepted event has it as a parent that was missing. That may be
 * history, though, which no end of the room follows.
 */
async function advanceHead(
  room: Room,
  pdu: Pdu,
  { passed, isKnown }: { readonly passed: ReadonlySet<EventId>; readonly isKnown: boolean },
): Promise<void> {
  const kept = room.head.extremities.filter((id) => !passed.has(id))
  const hasChild =
    kept.length > 0 &&
    (room.missingParents.has(pdu.event_id) || (isKnown && (await isBehind(room, pdu))))
  await moveHead(room, hasChild ? kept : [...kept, pdu.event_id])
}

/**
 * Whether an event that has no place yet is part of the state at the ends of the room, or of its auth
 * chain. Then these follow it, though what lies between is not here.
 */
export async function isBehind(room: Room, pdu: Pdu): Promise<boolean> {
  const number = room.eventNumber(pdu.event_id)
  if (number === undefined) return false
  const state = await room.states.pairs(room.head.state)
  if (eventAt(state, room.stateKeyOf(number)) === number) return true
  room.cover.moveTo(state)
  return (room.cover.references[number] ?? 0) > 0
}

async function moveHead(room: Room, extremities: readonly EventId[]): Promise<void> {
  assert.ok(extremities.length > 0, `${room.roomId} has no forward extremity left`)
  const facts = await room.events.facts(extremities)
  const versions = extremities.flatMap((id) => facts.get(id)?.stateAfter ?? [])
  room.head = { extremities, state: await room.resolve(versions) }
}

/** How many events a walk back from history that was fetched passes. */
const leftBehindMax = 1000

/**
 * What came live may turn out to be older than what was here already: history that is fetched later leads
 * from that to it. Then it is no end of the room any more. Only history that fills a gap counts: of other
 * events nobody knows whether anything that is accepted follows them.
 */
export async function leaveBehind(room: Room, history: readonly Pdu[]): Promise<void> {
  const { extremities } = room.head
  const facts = await room.events.facts(extremities)
  const depths = extremities.map((id) => facts.get(id)?.depth ?? 0)
  const passed = new Set<EventId>()
  const border = history.filter(({ event_id: id }) => room.missingParents.has(id))
  for (let pdu = border.pop(); pdu !== undefined; pdu = border.pop()) {
    if (passed.size > leftBehindMax || pdu.depth <= Math.min(...depths)) continue
    const parents = [...(await parentsThroughRefused(room, pdu))].filter((id) => !passed.has(id))
    for (const id of parents) passed.add(id)
    border.push(...(await room.events.pdus(parents)).values())
  }
  const kept = extremities.filter((id) => !passed.has(id))
  if (kept.length > 0 && kept.length < extremities.length) await moveHead(room, kept)
}

/** How many refused events a walk back from one event passes. */
const refusedMax = 1000

/**
 * The parents of an event. Those that were rejected or soft-failed are no extremities, but theirs may
 * be: these are ancestors of the event, too. And what is missing before a refused event, which stands
 * nowhere, is missing before the event that follows it.
 */
export async function parentsThroughRefused(room: Room, pdu: Pdu): Promise<ReadonlySet<EventId>> {
  const parents = new Set(pdu.prev_events)
  let facts = await room.events.facts(pdu.prev_events)
  let refused = 0
  for (const parent of parents) {
    if (!facts.has(parent)) facts = await room.events.facts([parent])
    const status = facts.get(parent)?.status
    if (status !== 'rejected' && status !== 'soft_failed') continue
    refused += 1
    if (refused > refusedMax) break
    const found = (await room.events.pdus([parent])).get(parent)
    for (const grandparent of found?.prev_events ?? []) parents.add(grandparent)
  }
  return parents
}

/** Those of the events that have no place in the room here: unknown ones, and parts of auth chains. */
export async function unplacedOf(room: Room, eventIds: Iterable<EventId>): Promise<EventId[]> {
  const ids = [...eventIds]
  const facts = await room.events.facts(ids)
  return ids.filter((id) => facts.get(id)?.stateAfter === undefined)
}

/** The order in which events of one batch are taken: what others refer to first. */
export async function inOrder(pdus: readonly Pdu[], slices: Slices): Promise<Pdu[]> {
  return await slices.run(ordering(pdus))
}

/** Pauses now and then. */
function* ordering(pdus: readonly Pdu[]): Generator<void, Pdu[]> {
  const byId = new Map<EventId, Pdu>()
  for (const pdu of pdus) {
    byId.set(pdu.event_id, pdu)
    if (byId.size % orderedPerStep === 0) yield
  }
  const ordered: Pdu[] = []
  const met = new Set<EventId>()
  const stack: { readonly pdu: Pdu; readonly rest: EventId[] }[] = []
  const open = (pdu: Pdu) => {
    met.add(pdu.event_id)
    stack.push({ pdu, rest: [...pdu.auth_events, ...pdu.prev_events] })
  }
  for (const start of byId.values()) {
    if (!met.has(start.event_id)) open(start)
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const next = top.rest.pop()
      const parent = next === undefined ? undefined : byId.get(next)
      if (parent !== undefined && !met.has(parent.event_id)) {
        open(parent)
      } else if (next === undefined) {
        ordered.push(top.pdu)
        stack.pop()
        if (ordered.length % orderedPerStep === 0) yield
      }
    }
  }
  return ordered
}

/** How many events are put into their order in one go: about a millisecond's worth. */
const orderedPerStep = 500
