/**
 * A room of whose state we do not know all members yet: those were left out when we joined.
 *
 * What the state says of anything else is known. Whether somebody is a member is known of those who
 * were given, of those whose membership has changed since, and of whom an event claims it: the
 * memberships among its auth events are taken for the state, wherever that says nothing of the user.
 * All of that is preliminary. Each event that finds its place in such a room is noted, and judged
 * again when the whole state is known (`complete-room.ts`).
 *
 * Why, and what else it means: docs/decisions/0005-partial-state.md.
 *
 * @module
 */

import { authStateKeys } from '#protocol/auth-rules/auth-events.ts'
import type { EventId, ServerName } from '#protocol/identifiers/ids.ts'
import type { Pdu } from '#protocol/pdu.ts'
import { eventAt, placeOf } from '#protocol/state-resolution/state-pairs.ts'
import type { Reader } from '#storage/database.ts'
import { partialEventRows, partialRoomRow, stateOrigins } from '#storage/partial-rooms.ts'
import type { Room } from './room.ts'
import { withProved } from './unproved-state.ts'

/**
 * Where the state before an event comes from: from its parents; from what another server told; from
 * nowhere yet; and from nowhere yet before our own join, from which the room goes on.
 */
export type StateOrigin = (typeof stateOrigins)[number]

/** An event that found its place in the room while the state was partial. */
export interface PartialEvent {
  /** Larger for those that were judged later. */
  readonly place: number
  readonly eventId: EventId
  readonly origin: StateOrigin
  /** Whether it came as news, and not as history. */
  readonly isLive: boolean
}

export interface PartialRoom {
  /** Who gave us the room. */
  readonly resident: ServerName
  /** Those that were in the room before us, as the resident said; not we ourselves. */
  readonly servers: ReadonlySet<ServerName>
  readonly sinceTs: number
  /** Whether nobody of ours had been in the room before. */
  readonly isNew: boolean
  readonly events: PartialEvent[]
}

/** What is stored of it; `undefined` if the state of the room is whole. */
export async function loadPartialRoom(
  db: Reader,
  roomNid: number,
): Promise<PartialRoom | undefined> {
  const row = await partialRoomRow(db, roomNid)
  if (row === undefined) return undefined
  const events = await partialEventRows(db, roomNid)
  return {
    resident: row.resident,
    servers: new Set(JSON.parse(row.servers) as ServerName[]),
    sinceTs: row.since_ts,
    isNew: row.is_new === 1,
    events: events.map(({ place, event_id, origin, is_live }) => ({
      place,
      eventId: event_id,
      origin: stateOrigins[origin] ?? 'parents',
      isLive: is_live === 1,
    })),
  }
}

/**
 * Whether a membership of one of our users is only what a branch from before our last join makes of it. What
 * was left out of the state may say otherwise, and nobody of ours was in the room then: who is in it has
 * come since, by an event that found its place since.
 */
export function isFromBefore({ partial }: Room, member: Pdu | undefined): boolean {
  if (partial === undefined || member === undefined) return false
  const last = partial.events.findLastIndex(({ origin }) => origin === 'join')
  return !partial.events.slice(Math.max(last, 0)).some(({ eventId }) => eventId === member.event_id)
}

/** The version of the state that stands for one that nobody knows yet: that before our last join. */
export async function unknownState(room: Room): Promise<number> {
  const join = room.partial?.events.findLast(({ origin }) => origin === 'join')
  if (join === undefined) return room.head.state
  const facts = await room.events.facts([join.eventId])
  const before = facts.get(join.eventId)?.stateBefore
  return before === undefined ? room.head.state : await standIn(room, join.eventId, before)
}

/**
 * What stands for an unknown state: that before a join of ours, without the membership that the user had
 * by then, be it by an invite or by a join of which nothing was heard here. With it they would have been
 * invited or joined ever before, and be shown what is hidden from them. What follows the event that
 * made it has it from there.
 */
export async function standIn(room: Room, join: EventId, stateBefore: number): Promise<number> {
  const number = room.eventNumber(join)
  if (number === undefined) return stateBefore
  return await withoutPlace(room, stateBefore, room.stateKeyOf(number))
}

/** A version of the state with nothing in one of its places. */
export async function withoutPlace(room: Room, version: number, key: number): Promise<number> {
  const pairs = await room.states.pairs(version)
  const at = placeOf(pairs, key)
  if (pairs[at] !== key) return version
  const others = new Int32Array(pairs.length - 2)
  others.set(pairs.subarray(0, at))
  others.set(pairs.subarray(at + 2), at)
  return await room.states.withPairs([version], others)
}

/**
 * A version of the state with the memberships that an event's auth events claim, where the state says
 * nothing of the user. In a room that is known whole, with what could not be proved before.
 */
export async function withClaims(room: Room, pdu: Pdu, version: number): Promise<number> {
  if (room.partial === undefined) return await withProved(room, pdu, version)
  const needed = new Set(
    authStateKeys(pdu).flatMap(([type, stateKey]) => (type === 'm.room.member' ? stateKey : [])),
  )
  let claimed = version
  for (const eventId of pdu.auth_events) {
    const number = room.eventNumber(eventId)
    if (number === undefined || room.isRejected(number)) continue
    const key = room.stateKeyOf(number)
    const { type, stateKey } = room.stateKey(key)
    if (type !== 'm.room.member' || !needed.has(stateKey)) continue
    if (eventAt(await room.states.pairs(claimed), key) !== undefined) continue
    claimed = await room.states.withChange(claimed, { key, event: number })
  }
  return claimed
}
