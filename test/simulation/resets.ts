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
import type { StateMap } from '../state-resolution-reference.ts'

/** Why a value was taken back. */
export type Reason =
  /** The auth rules do not allow it in what the state has become. */
  | 'refused'
  /** Its sender says that it is older than what it had replaced. */
  | 'older by its clock'
  /** It leans on power levels that come earlier, or that lost. */
  | 'leans on older power'

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
  const state = authStateOf([...resolved.values()].map(room.event))
  if (!checkAuthRules(pdu, state).allowed) return 'refused'
  if (to === undefined) return undefined
  const mainline = mainlineFrom(room, resolved.get(JSON.stringify(['m.room.power_levels', ''])))
  const [was, is] = [positionOf(room, mainline, from), positionOf(room, mainline, to)]
  if (was > is) return 'leans on older power'
  if (was === is && pdu.origin_server_ts <= room.event(to).origin_server_ts) {
    return 'older by its clock'
  }
  return undefined
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

/** How far back on the mainline an event leans on it. */
function positionOf(room: KnownRoom, mainline: readonly EventId[], id: EventId): number {
  for (let next = powerBehind(room, id); next !== undefined; next = powerBehind(room, next)) {
    if (mainline.includes(next)) return mainline.indexOf(next)
  }
  return Number.POSITIVE_INFINITY
}
