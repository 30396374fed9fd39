/**
 * Whether the state before our join that somebody tells is what the resident gave us at the join, as far as
 * that gave any, and lets us in.
 *
 * @module
 */

import { Slices } from '#io/slices.ts'
import { authStateKeys } from '#protocol/auth-rules/auth-events.ts'
import { authStateOf } from '#protocol/auth-rules/auth-state.ts'
import { checkAuthRules } from '#protocol/auth-rules/check.ts'
import { reject, type Verdict } from '#protocol/auth-rules/verdict.ts'
import type { EventId, RoomId } from '#protocol/identifiers/ids.ts'
import { eventAt, type StatePairs } from '#protocol/state-resolution/state-pairs.ts'
import type { Contradiction } from './engine.ts'
import type { EngineParts } from './engine-parts.ts'
import type { PartialEvent } from './partial-room.ts'
import type { Room } from './room.ts'

/** See `Engine.contradiction`. */
export async function contradiction(
  { queues, clock }: EngineParts,
  { roomId, join, stateIds }: { roomId: RoomId; join: EventId; stateIds: readonly EventId[] },
): Promise<Contradiction | undefined> {
  const room = await queues.room(roomId)
  const isJoin = ({ eventId, origin }: PartialEvent) => eventId === join && origin === 'join'
  if (room?.partial?.events.some(isJoin) !== true) return undefined
  const given = (await room.events.facts([join])).get(join)?.stateBefore
  if (given === undefined) return undefined
  const slices = new Slices(clock)
  const told = new Map<number, number>()
  for (const eventId of stateIds) {
    if (slices.isOver) await slices.next()
    const number = room.eventNumber(eventId)
    if (number !== undefined && !room.isRejected(number)) told.set(room.stateKeyOf(number), number)
  }
  const verdict = await joinByState(room, join, told)
  if (!verdict.allowed) return { problem: `it does not let us in: ${verdict.rule}`, bars: true }
  const other = otherThanGiven(room, await room.states.pairs(given), told)
  return other === undefined
    ? undefined
    : { problem: `it has another event for ${other}`, bars: false }
}

/** A place of the state, no membership, at which two states differ. */
function otherThanGiven(
  room: Room,
  given: StatePairs,
  told: ReadonlyMap<number, number>,
): string | undefined {
  const isMember = (key: number) => room.stateKey(key).type === 'm.room.member'
  let common = 0
  for (let at = 0; at < given.length; at += 2) {
    const key = given[at] as number
    if (isMember(key)) continue
    if (told.get(key) !== given[at + 1]) return nameOf(room, key)
    common += 1
  }
  const others = [...told.keys()].filter((key) => !isMember(key))
  const more =
    others.length === common ? undefined : others.find((key) => eventAt(given, key) === undefined)
  return more === undefined ? undefined : nameOf(room, more)
}

function nameOf(room: Room, key: number): string {
  const { type, stateKey } = room.stateKey(key)
  return stateKey === '' ? type : `${type} of ${stateKey}`
}

/** What the auth rules say of our join by a state that was told. */
async function joinByState(
  room: Room,
  eventId: EventId,
  told: ReadonlyMap<number, number>,
): Promise<Verdict> {
  const join = (await room.events.pdus([eventId])).get(eventId)
  if (join === undefined) return reject('it is not known any more')
  const numbers = authStateKeys(join).flatMap(([type, stateKey]) => {
    const key = room.stateKeyId(type, stateKey)
    return (key === undefined ? undefined : told.get(key)) ?? []
  })
  return checkAuthRules(join, authStateOf(await room.numbered(numbers)))
}
