/**
 * Finds where resolving state took something back, and says why.
 *
 * Where branches meet, a place in the state may get an older value than one of the branches had, one
 * that this branch had replaced, or none at all. Mostly that is as it should be: what had replaced it is
 * not allowed any more by what the other branch brought. Where no reason is found, the state was reset:
 * all servers agree, and all of them are wrong.
 *
 * State resolution 2 is known for that (https://spec.matrix.org/v1.19/rooms/v12/#state-resolution); of 2.1, in
 * version 12 of rooms, it is a fault.
 *
 * @module
 */

import { authStateOf } from '../../src/protocol/auth-rules/auth-state.ts'
import { checkAuthRules } from '../../src/protocol/auth-rules/check.ts'
import type { EventId } from '../../src/protocol/identifiers/ids.ts'
import type { Pdu } from '../../src/protocol/pdu.ts'
import { isPowerEvent, type StateMap, senderLevel } from '../state-resolution-reference.ts'

/** Why a value was taken back. */
export type Reason =
  /** The auth rules do not allow it after what other branches brought. */
  | 'refused'
  // Or it is allowed, and was tried before what it had replaced: that is how state resolution orders them.
  | 'older by its clock'
  /** It leans on power levels that come earlier, or that lost. */
  | 'leans on older power'
  /** It may take power away, and what it had replaced may not. */
  | 'power comes first'
  | 'its sender has more power'

export interface TakenBack {
  /** Before this event the branches met. */
  readonly before: EventId
  readonly place: string
  readonly from: EventId
  /** Nothing, if the place is empty now. */
  readonly to: EventId | undefined
  /** None for a reset. */
  readonly reason: Reason | undefined
}

export interface KnownRoom {
  readonly event: (id: EventId) => Pdu
  /** The states before and after each event whose history is known. */
  readonly before: ReadonlyMap<EventId, StateMap>
  readonly after: ReadonlyMap<EventId, StateMap>
}

export function takenBack(room: KnownRoom): TakenBack[] {
  const found: TakenBack[] = []
  for (const [id, resolved] of room.before) {
    const branches = new Set(
      room.event(id).prev_events.flatMap((prev) => room.after.get(prev) ?? []),
    )
    if (branches.size < 2) continue
    for (const [place, from] of new Set([...branches].flatMap((state) => [...state]))) {
      const to = resolved.get(place)
      if (to === from || (to !== undefined && !isBefore(room, to, from))) continue
      if (found.some((one) => one.place === place && one.from === from && one.to === to)) continue
      found.push({ before: id, place, from, to, reason: reasonFor(room, resolved, from, to) })
    }
  }
  return found
}

function reasonFor(
  room: KnownRoom,
  resolved: StateMap,
  from: EventId,
  to: EventId | undefined,
): Reason | undefined {
  const pdu = room.event(from)
  if (!checkAuthRules(pdu, authStateOf(besides(room, resolved, from))).allowed) return 'refused'
  return to === undefined ? undefined : orderedBefore(room, resolved, from, to)
}

/** Why state resolution tries an event before another one, if it does. */
function orderedBefore(
  room: KnownRoom,
  resolved: StateMap,
  one: EventId,
  other: EventId,
): Reason | undefined {
  const [pdu, later] = [room.event(one), room.event(other)]
  if (isPowerEvent(pdu) !== isPowerEvent(later)) {
    return isPowerEvent(pdu) ? 'power comes first' : undefined
  }
  const isOlder = pdu.origin_server_ts <= later.origin_server_ts
  const powerLevels = resolved.get(JSON.stringify(['m.room.power_levels', '']))
  // Where the power levels are not contested, 2.1 has none when it looks for the mainline.
  if (isOlder && pdu.version.stateResolution === 'v2.1' && !isPowerEvent(pdu)) {
    return 'older by its clock'
  }
  const place = isPowerEvent(pdu) ? levelOf(room) : positionIn(room, powerLevels)
  const [first, second] = [place(one), place(other)]
  if (first > second)
    return isPowerEvent(pdu) ? 'its sender has more power' : 'leans on older power'
  return first === second && isOlder ? 'older by its clock' : undefined
}

function levelOf(room: KnownRoom): (id: EventId) => number | bigint {
  return (id) => senderLevel(room, id)
}

/** How far back on the mainline events lean on it. */
function positionIn(room: KnownRoom, powerLevels: EventId | undefined): (id: EventId) => number {
  const mainline = mainlineFrom(room, powerLevels)
  return (id) => {
    for (let next = powerBehind(room, id); next !== undefined; next = powerBehind(room, next)) {
      if (mainline.includes(next)) return mainline.indexOf(next)
    }
    return Number.POSITIVE_INFINITY
  }
}

/**
 * A state without what came after an event, but for what takes power away: that may take the event back
 * from whom it hits, even if they did no wrong before. Else, it counts what was before the event.
 */
function besides(room: KnownRoom, resolved: StateMap, eventId: EventId): Pdu[] {
  const own = room.before.get(eventId)
  return [...resolved].flatMap(([place, value]) => {
    const isLater = value !== eventId && isBefore(room, eventId, value)
    const id = isLater && !isPowerEvent(room.event(value)) ? own?.get(place) : value
    return id === undefined ? [] : room.event(id)
  })
}

/** Whether an event is in the history of another. */
function isBefore({ event, before }: KnownRoom, earlier: EventId, later: EventId): boolean {
  const history = new Set([later])
  // A set gives what is added to it while it is iterated over, too.
  for (const id of history) {
    if (id === earlier) return true
    if (before.has(id)) for (const prev of event(id).prev_events) history.add(prev)
  }
  return false
}

function powerBehind({ event }: KnownRoom, id: EventId): EventId | undefined {
  return event(id).auth_events.find((auth) => event(auth).type === 'm.room.power_levels')
}

function mainlineFrom(room: KnownRoom, powerLevels: EventId | undefined): EventId[] {
  const mainline: EventId[] = []
  for (let next = powerLevels; next !== undefined; next = powerBehind(room, next))
    mainline.push(next)
  return mainline
}
