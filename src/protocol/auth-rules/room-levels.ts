/**
 * The power levels in force in a room: of users, and those that acts require.
 *
 * Levels are looked up where they are written; nothing is parsed ahead, so that a room with thousands
 * of entries costs no more than the one entry that is asked for.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#mroompower_levels
 *
 * @module
 */

import type { Json, JsonObject } from '../json.ts'
import type { Pdu } from '../pdu.ts'
import type { AuthState } from './auth-state.ts'
import { type PowerLevel, readPowerLevel } from './power-level.ts'
import { createEventOf, creatorOf, isPrivilegedCreator, objectIn } from './room-members.ts'

/** The properties of `m.room.power_levels` that are a level, and what they are if they are not given. */
export const namedLevels = {
  users_default: 0,
  events_default: 0,
  state_default: 50,
  ban: 50,
  redact: 50,
  kick: 50,
  invite: 0,
} as const

export type NamedLevel = keyof typeof namedLevels

/** The room's power levels event, if the state has one. */
export function powerLevelsOf(state: AuthState): Pdu | undefined {
  return state.get('m.room.power_levels', '')
}

/** The power level of a user; for that of an event's sender from its own auth events, too. */
export function powerLevelOf(state: AuthState, userId: string): PowerLevel {
  const create = createEventOf(state)
  return userLevel(create, powerLevelsOf(state), userId)
}

/** The power level of a user in a room with these events, as far as there are any. */
export function userLevel(
  create: Pdu | undefined,
  powerLevels: Pdu | undefined,
  userId: string,
): PowerLevel {
  // The power level of "room creators" is infinitely high. They cannot be demoted to a lower power
  // level, even through `m.room.power_levels`.
  if (create !== undefined && isPrivilegedCreator(create, userId)) return Number.POSITIVE_INFINITY
  if (powerLevels === undefined) {
    // In room versions 1 through 11, when there is no `m.room.power_levels` event in the room, the
    // room creator has a power level of 100, and all other users have a power level of 0.
    const isCreator = create !== undefined && creatorOf(create) === userId
    return isCreator ? 100 : 0
  }
  return (
    levelIn(powerLevels, 'users', userId) ??
    levelOf(powerLevels, 'users_default') ??
    namedLevels.users_default
  )
}

/** The invite, kick, ban or redact level, or one of the defaults. */
export function requiredLevel(state: AuthState, name: NamedLevel): PowerLevel {
  const powerLevels = powerLevelsOf(state)
  return (powerLevels && levelOf(powerLevels, name)) ?? namedLevels[name]
}

/** The level that a power levels event gives for `name`; `undefined` if it gives none. */
export function levelOf({ version, content }: Pdu, name: NamedLevel): PowerLevel | undefined {
  return Object.hasOwn(content, name) ? readPowerLevel(version, content[name]) : undefined
}

/**
 * The level that a power levels event gives for an entry of `users`, `events` or `notifications`;
 * `undefined` if it gives none. If the table is there but is no object, no entry can be read.
 */
export function levelIn(
  { version, content }: Pdu,
  table: 'users' | 'events' | 'notifications',
  key: string,
): PowerLevel | undefined {
  if (!Object.hasOwn(content, table)) return undefined
  const entries: JsonObject | undefined = objectIn(content, table)
  if (entries === undefined) return Number.NaN
  const value: Json | undefined = Object.hasOwn(entries, key) ? entries[key] : undefined
  return value === undefined ? undefined : readPowerLevel(version, value)
}
