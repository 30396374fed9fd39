/**
 * The checks performed on receipt of a PDU that need the room: the auth rules on the event's auth
 * events, on the state before it, and on the current state.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#checks-performed-on-receipt-of-a-pdu
 *
 * @module
 */

import { Slices } from '#io/slices.ts'
import { authStateKeys, checkAuthEvents } from '#protocol/auth-rules/auth-events.ts'
import { authStateOf } from '#protocol/auth-rules/auth-state.ts'
import { checkAuthRules } from '#protocol/auth-rules/check.ts'
import { ALLOW, reject, type Verdict } from '#protocol/auth-rules/verdict.ts'
import type { EventId } from '#protocol/identifiers/ids.ts'
import type { Pdu } from '#protocol/pdu.ts'
import { eventAt, statePairsOf } from '#protocol/state-resolution/state-pairs.ts'
import type { EventFacts } from './held-events.ts'
import { joinCode } from './membership-codes.ts'
import type { Room } from './room.ts'
import type { StateKey } from './state-key.ts'

/** What an event refers to that is not here. */
export interface Lacking {
  readonly prevEvents: readonly EventId[]
  readonly authEvents: readonly EventId[]
}

/** What is known of the events that a PDU refers to. */
export interface References {
  readonly prevs: readonly EventFacts[]
  readonly auths: readonly EventFacts[]
  readonly lacking: Lacking
}

export async function referencesOf(room: Room, pdu: Pdu): Promise<References> {
  const facts = await room.events.facts([...pdu.prev_events, ...pdu.auth_events])
  const prevs = pdu.prev_events.flatMap((id) => facts.get(id) ?? [])
  return {
    // An outlier has no place in the room, so nothing is known of the state after it.
    prevs: prevs.filter(({ stateAfter }) => stateAfter !== undefined),
    auths: pdu.auth_events.flatMap((id) => facts.get(id) ?? []),
    lacking: {
      prevEvents: pdu.prev_events.filter((id) => facts.get(id)?.stateAfter === undefined),
      authEvents: pdu.auth_events.filter((id) => !facts.has(id)),
    },
  }
}

/**
 * Passes authorization rules based on the event's auth events, otherwise it is rejected.
 */
export async function checkOnAuthEvents(room: Room, pdu: Pdu): Promise<Verdict> {
  if (pdu.type === 'm.room.create') return checkCreateOf(room, pdu)
  const found = await room.events.pdus(pdu.auth_events)
  const authEvents = pdu.auth_events.flatMap((id) => found.get(id) ?? [])
  const facts = await room.events.facts(pdu.auth_events)
  const isRejected = (authEvent: Pdu) => facts.get(authEvent.event_id)?.status === 'rejected'
  const listed = checkAuthEvents(pdu, authEvents, isRejected)
  if (!listed.allowed) return listed
  // Since version 12 the create event is implied by the room ID.
  const implied = room.version.roomIdIsCreateEventId ? await room.numbered([room.create]) : []
  return checkAuthRules(pdu, authStateOf([...implied, ...authEvents]))
}

/** A room has one create event: the first that was accepted. */
function checkCreateOf(room: Room, pdu: Pdu): Verdict {
  if (room.graph.size > 0 && room.eventId(room.create) !== pdu.event_id) {
    return reject('the room has another create event')
  }
  return checkAuthRules(pdu, authStateOf([]))
}

/** Passes authorization rules based on a state of the room. */
export async function checkOnState(room: Room, pdu: Pdu, state: number): Promise<Verdict> {
  if (pdu.type === 'm.room.create') return ALLOW
  return checkAuthRules(pdu, await room.authState(state, authStateKeys(pdu)))
}

/** The version of the state before an event: what the states after its parents resolve to. */
export async function stateBeforeOf(room: Room, prevs: readonly EventFacts[]): Promise<number> {
  return await room.resolve(prevs.flatMap(({ stateAfter }) => stateAfter ?? []))
}

/** The version of a state that another server told us: all its events are stored. */
export async function stateOfEvents(room: Room, eventIds: readonly EventId[]): Promise<number> {
  const slices = new Slices(room.clock)
  const entries = await entriesOf(room, eventIds, slices)
  if (slices.isOver) await slices.next()
  return await room.states.withPairs([room.head.state], statePairsOf(entries))
}

/**
 * A version of the state with those who are joined by another, of whom it says nothing: a state of which
 * nobody tells the members, and one that was not long after it. All events of that one are stored.
 */
export async function withJoinedOf(
  room: Room,
  version: number,
  eventIds: readonly EventId[],
): Promise<number> {
  const slices = new Slices(room.clock)
  const pairs = await room.states.pairs(version)
  const joined = (await entriesOf(room, eventIds, slices)).filter(
    ([key, number]) =>
      room.membershipCode(number) === joinCode && eventAt(pairs, key) === undefined,
  )
  const entries: [number, number][] = [...joined]
  for (let at = 0; at < pairs.length; at += 2) {
    entries.push([pairs[at] as number, pairs[at + 1] as number])
  }
  return await room.states.withPairs([version], statePairsOf(entries))
}

/**
 * A place for which a state that another server told us has two events, if there is one. No state has:
 * whichever we took, the other might be what others hold.
 */
export async function placeOfTwo(
  room: Room,
  eventIds: readonly EventId[],
): Promise<StateKey | undefined> {
  const taken = new Map<number, number>()
  for (const [key, number] of await entriesOf(room, eventIds, new Slices(room.clock))) {
    if ((taken.get(key) ?? number) !== number) return room.stateKey(key)
    taken.set(key, number)
  }
  return undefined
}

/** The places and the events of a state, without those that are rejected: they never take part in one. */
async function entriesOf(
  room: Room,
  eventIds: readonly EventId[],
  slices: Slices,
): Promise<[key: number, event: number][]> {
  const entries: [number, number][] = []
  for (const eventId of eventIds) {
    if (slices.isOver) await slices.next()
    const number = room.eventNumber(eventId)
    if (number === undefined || room.isRejected(number)) continue
    entries.push([room.stateKeyOf(number), number])
  }
  return entries
}

/** The version of the state after an event that is not rejected. */
export async function stateAfterOf(room: Room, pdu: Pdu, stateBefore: number): Promise<number> {
  if (pdu.state_key === undefined) return stateBefore
  const key = room.numberStateKey(pdu.type, pdu.state_key)
  return await room.states.withChange(stateBefore, { key, event: room.numberEvent(pdu, false) })
}
