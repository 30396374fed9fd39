/**
 * The rules for `m.room.power_levels`: nobody gives, takes or changes more than they have.
 *
 * The comments are the spec's own sentences, in the spec's order. In the functions below, `undefined`
 * means that the rule does not decide.
 *
 * SPEC: a level counts as added, changed or removed by whether it is written in the event, not by
 * whether what it means changes: writing down what was the default is an addition, and there is no
 * current value then. https://github.com/matrix-org/matrix-spec/issues/2388
 *
 * https://spec.matrix.org/v1.19/rooms/v12/#authorisation-rules
 *
 * @module
 */

import { parseUserId } from '../identifiers/user-id.ts'
import type { JsonObject } from '../json.ts'
import type { Pdu } from '../pdu.ts'
import type { AuthState } from './auth-state.ts'
import { type PowerLevel, readPowerLevel } from './power-level.ts'
import {
  levelIn,
  levelOf,
  type NamedLevel,
  namedLevels,
  powerLevelOf,
  powerLevelsOf,
} from './room-levels.ts'
import { createEventOf, isPrivilegedCreator, objectIn } from './room-members.ts'
import { ALLOW, reject, type Verdict } from './verdict.ts'

type Table = 'users' | 'events' | 'notifications'

/** Checks a power levels event. Its sender is in the room and may send such events. */
export function checkPowerLevels(pdu: Pdu, state: AuthState): Verdict {
  const malformed = checkContent(pdu, state)
  if (malformed !== undefined) return malformed

  // If there is no previous `m.room.power_levels` event in the room, allow.
  const current = powerLevelsOf(state)
  if (current === undefined) return ALLOW

  const senderLevel = powerLevelOf(state, pdu.sender)
  return (
    checkNamedLevels(current, pdu, senderLevel) ??
    checkTable('events', current, pdu, senderLevel) ??
    (pdu.version.notificationLevelsChecked
      ? checkTable('notifications', current, pdu, senderLevel)
      : undefined) ??
    checkTable('users', current, pdu, senderLevel) ??
    // Otherwise, allow.
    ALLOW
  )
}

/** What a power levels event must be whoever sends it, and whatever the levels are before it. */
export function checkContent(pdu: Pdu, state: AuthState): Verdict | undefined {
  return checkFormat(pdu) ?? checkUsers(pdu) ?? checkCreators(pdu, state)
}

/** What versions 10 and later ask of all levels but those of users. */
function checkFormat({ version, content }: Pdu): Verdict | undefined {
  if (!version.integerPowerLevels) return undefined

  // If any of the properties `users_default`, `events_default`, `state_default`, `ban`, `redact`,
  // `kick`, or `invite` in `content` are present and not an integer, reject.
  for (const name of levelNames) {
    const isLevel = !Object.hasOwn(content, name) || Number.isSafeInteger(content[name])
    if (!isLevel) return reject('a power level is not an integer')
  }

  // If either of the properties `events` or `notifications` in `content` are present and not an
  // object with values that are integers, reject.
  for (const table of ['events', 'notifications']) {
    if (!Object.hasOwn(content, table)) continue
    const entries = objectIn(content, table)
    if (entries === undefined) return reject('a table of power levels is not an object')
    for (const value of Object.values(entries)) {
      if (!Number.isSafeInteger(value)) return reject('a power level is not an integer')
    }
  }
  return undefined
}

/**
 * If the `users` property in `content` is not an object with keys that are valid user IDs with values
 * that are integers (or a string that is an integer), reject. It need not be there.
 */
function checkUsers({ version, content }: Pdu): Verdict | undefined {
  if (!Object.hasOwn(content, 'users')) return undefined
  const users = objectIn(content, 'users')
  if (users === undefined) return reject('a table of power levels is not an object')
  for (const [userId, value] of Object.entries(users)) {
    if (parseUserId(userId) === undefined) return reject('a power level is of no user ID')
    if (Number.isNaN(readPowerLevel(version, value))) {
      return reject('a power level is not an integer')
    }
  }
  return undefined
}

/**
 * If the `users` property in `content` contains the `sender` of the `m.room.create` event or any of the
 * `additional_creators` array (if present) from the `content` of the `m.room.create` event, reject.
 */
function checkCreators({ version, content }: Pdu, state: AuthState): Verdict | undefined {
  const create = createEventOf(state)
  if (!version.privilegedCreators || create === undefined) return undefined
  for (const userId of Object.keys(objectIn(content, 'users') ?? {})) {
    if (isPrivilegedCreator(create, userId)) return reject('a creator needs no power level')
  }
  return undefined
}

/**
 * For the properties `users_default`, `events_default`, `state_default`, `ban`, `redact`, `kick`,
 * `invite` check if they were added, changed or removed. For each found alteration:
 */
function checkNamedLevels(current: Pdu, pdu: Pdu, senderLevel: PowerLevel): Verdict | undefined {
  for (const name of levelNames) {
    const before = levelOf(current, name)
    const after = levelOf(pdu, name)
    // One that cannot be read is not even the same as itself, and counts as changed.
    if (before === after) continue
    // If the current value is higher than the `sender`'s current power level, reject.
    if (!isAtMost(before, senderLevel)) return reject('a power level was above the sender')
    // If the new value is higher than the `sender`'s current power level, reject.
    if (!isAtMost(after, senderLevel)) return reject('a power level is set above the sender')
  }
  return undefined
}

/** For each entry being added to, changed in, or removed from a table: */
function checkTable(
  table: Table,
  current: Pdu,
  pdu: Pdu,
  senderLevel: PowerLevel,
): Verdict | undefined {
  const keys = keysOf(table, current.content, pdu.content)
  if (keys === undefined) return reject('a table of power levels is not an object')
  for (const key of keys) {
    const before = levelIn(current, table, key)
    const after = levelIn(pdu, table, key)
    if (before === after) continue
    // For each entry being changed in, or removed from, the `events` or `notifications` properties: if
    // the current value is greater than the `sender`'s current power level, reject.
    if (!isAtMost(before, senderLevel)) return reject('a power level was above the sender')

    // For each entry being changed in, or removed from, the `users` property, other than the `sender`'s
    // own entry: if the current value is greater than or equal to the `sender`'s current power level,
    // reject.
    const isOther = table === 'users' && key !== pdu.sender
    if (isOther && before !== undefined && !(before < senderLevel)) {
      return reject('the user is not below the sender')
    }

    // For each entry being added to, or changed in, the `users`, `events` or `notifications` property:
    // if the new value is greater than the `sender`'s current power level, reject.
    if (!isAtMost(after, senderLevel)) return reject('a power level is set above the sender')
  }
  return undefined
}

/** The keys of both tables, or `undefined` if one is there but is no object. */
function keysOf(table: Table, current: JsonObject, next: JsonObject): Set<string> | undefined {
  const keys = new Set<string>()
  for (const content of [current, next]) {
    if (!Object.hasOwn(content, table)) continue
    const entries = objectIn(content, table)
    if (entries === undefined) return undefined
    for (const key of Object.keys(entries)) keys.add(key)
  }
  return keys
}

/** Whether a level is absent, or not above another. */
function isAtMost(level: PowerLevel | undefined, limit: PowerLevel): boolean {
  return level === undefined || level <= limit
}

const levelNames = Object.keys(namedLevels) as readonly NamedLevel[]
