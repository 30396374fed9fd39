/**
 * State resolution 2.0 and 2.1 once more, as plainly as the spec puts it: sets and maps of event IDs,
 * whole auth chains, no cleverness. Production must give the same.
 *
 * @module
 */

import { checkAuthRules } from '#protocol/auth-rules/check.ts'
import { userLevel } from '#protocol/auth-rules/room-levels.ts'
import type { EventId } from '#protocol/identifiers/ids.ts'
import type { Pdu } from '#protocol/pdu.ts'

export type StateMap = ReadonlyMap<string, EventId>

interface Room {
  readonly event: (id: EventId) => Pdu
  readonly isRejected: (id: EventId) => boolean
  readonly trials: Trial[]
}

/** An event that was tried, in the order of trying. */
export interface Trial {
  readonly eventId: EventId
  readonly allowed: boolean
  /** What the state had become when it was tried. */
  readonly state: StateMap
}

/** Where an event stands in a state map. */
export function placeOf({ type, state_key }: Pdu): string {
  return JSON.stringify([type, state_key])
}

export function referenceResolution(
  states: readonly StateMap[],
  event: (id: EventId) => Pdu,
  isRejected: (id: EventId) => boolean,
  /** Is given what was tried. */
  trials: Trial[] = [],
): StateMap {
  const room = { event, isRejected, trials }
  const unconflicted = new Map<string, EventId>()
  const conflicted = new Set<EventId>()
  for (const place of new Set(states.flatMap((state) => [...state.keys()]))) {
    const values = states.map((state) => state.get(place))
    const [first] = values
    if (first !== undefined && values.every((value) => value === first)) {
      unconflicted.set(place, first)
    } else for (const value of values) if (value !== undefined) conflicted.add(value)
  }
  const [any] = conflicted
  if (any === undefined) return unconflicted
  const isV21 = event(any).version.stateResolution === 'v2.1'

  const chains = states.map((state) => chainOf(room, state.values()))
  const difference = [...new Set(chains.flatMap((chain) => [...chain]))].filter((id) => {
    return !chains.every((chain) => chain.has(id))
  })
  const full = new Set([...conflicted, ...difference, ...(isV21 ? between(room, conflicted) : [])])

  const powerEvents = new Set([...full].filter((id) => isPowerEvent(event(id))))
  let size = -1
  while (size !== powerEvents.size) {
    size = powerEvents.size
    for (const id of [...powerEvents]) {
      for (const authId of event(id).auth_events) if (full.has(authId)) powerEvents.add(authId)
    }
  }

  const base = isV21 ? new Map<string, EventId>() : unconflicted
  const partial = authChecks(room, base, powerOrdering(room, powerEvents))
  const rest = [...full].filter((id) => !powerEvents.has(id))
  const mainline = mainlineOf(room, partial.get(JSON.stringify(['m.room.power_levels', ''])))
  const position = (id: EventId): number => {
    const e = powerLevelsOf(room, id)
    if (e === undefined) return Number.POSITIVE_INFINITY
    return mainline.includes(e) ? mainline.indexOf(e) : position(e)
  }
  rest.sort((x, y) => compare([-position(x), ...age(room, x)], [-position(y), ...age(room, y)]))
  return new Map([...authChecks(room, partial, rest), ...unconflicted])
}

function chainOf(room: Room, ids: Iterable<EventId>): Set<EventId> {
  const chain = new Set<EventId>()
  const add = (id: EventId) => {
    for (const authId of room.event(id).auth_events) {
      if (chain.has(authId)) continue
      chain.add(authId)
      add(authId)
    }
  }
  for (const id of ids) add(id)
  return chain
}

function between(room: Room, conflicted: Set<EventId>): EventId[] {
  const candidates = [...new Set([...conflicted, ...chainOf(room, conflicted)])]
  return candidates.filter((id) => {
    return conflicted.has(id) || [...chainOf(room, [id])].some((authId) => conflicted.has(authId))
  })
}

/** https://spec.matrix.org/v1.19/rooms/v2/#definitions */
export function isPowerEvent({ type, state_key, sender, content }: Pdu): boolean {
  if (['m.room.power_levels', 'm.room.join_rules'].includes(type)) return state_key === ''
  const takesAway = content.membership === 'leave' || content.membership === 'ban'
  return type === 'm.room.member' && takesAway && sender !== state_key
}

function powerOrdering(room: Room, ids: Set<EventId>): EventId[] {
  const left = [...ids].sort((x, y) => {
    const [a, b] = [senderLevel(room, x), senderLevel(room, y)]
    return a > b ? -1 : a < b ? 1 : compare(age(room, x), age(room, y))
  })
  const ordering: EventId[] = []
  while (left.length > 0) {
    const next = left.findIndex((id) => !room.event(id).auth_events.some((a) => left.includes(a)))
    ordering.push(...left.splice(next, 1))
  }
  return ordering
}

function senderLevel(room: Room, id: EventId): number | bigint {
  const { version, sender, room_id, auth_events } = room.event(id)
  const find = (type: string) =>
    auth_events.map(room.event).find((pdu) => pdu.type === type && pdu.state_key === '')
  const create = version.roomIdIsCreateEventId
    ? room.event(`$${room_id.slice(1)}`)
    : find('m.room.create')
  const level = userLevel(create, find('m.room.power_levels'), sender)
  return Number.isNaN(level) ? 0 : level
}

function powerLevelsOf(room: Room, id: EventId): EventId | undefined {
  return room.event(id).auth_events.find((authId) => {
    const { type, state_key } = room.event(authId)
    return type === 'm.room.power_levels' && state_key === ''
  })
}

function mainlineOf(room: Room, powerLevels: EventId | undefined): EventId[] {
  return powerLevels === undefined
    ? []
    : [powerLevels, ...mainlineOf(room, powerLevelsOf(room, powerLevels))]
}

function authChecks(room: Room, base: StateMap, ids: readonly EventId[]): StateMap {
  const state = new Map(base)
  for (const id of ids) {
    const pdu = room.event(id)
    const { version, room_id, auth_events } = pdu
    const verdict = checkAuthRules(pdu, {
      get(type, stateKey) {
        const place = JSON.stringify([type, stateKey])
        const inState = state.get(place)
        if (inState !== undefined && !room.isRejected(inState)) return room.event(inState)
        const own = auth_events.find((a) => placeOf(room.event(a)) === place && !room.isRejected(a))
        if (own !== undefined) return room.event(own)
        const isImplied = version.roomIdIsCreateEventId && type === 'm.room.create'
        return isImplied && stateKey === '' ? room.event(`$${room_id.slice(1)}`) : undefined
      },
    })
    const allowed = verdict.allowed && !room.isRejected(id)
    room.trials.push({ eventId: id, allowed, state: new Map(state) })
    if (allowed) state.set(placeOf(pdu), id)
  }
  return state
}

function age(room: Room, id: EventId): [number, string] {
  return [room.event(id).origin_server_ts, id]
}

function compare(x: readonly (number | string)[], y: readonly (number | string)[]): number {
  for (const [at, value] of x.entries()) {
    const other = y[at] ?? value
    if (value !== other) return value < other ? -1 : 1
  }
  return 0
}
