/**
 * What a room that replaces another begins with, and what becomes of the levels of the replaced one.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#room-upgrades
 *
 * @module
 */

import { readPowerLevel } from '#protocol/auth-rules/power-level.ts'
import { levelOf, type NamedLevel, namedLevels } from '#protocol/auth-rules/room-levels.ts'
import { creatorOf, creatorsOf } from '#protocol/auth-rules/room-members.ts'
import type { RoomAlias, RoomId, UserId } from '#protocol/identifiers/ids.ts'
import { isJsonObject, type Json, type JsonObject } from '#protocol/json.ts'
import type { Pdu } from '#protocol/pdu.ts'
import type { RoomVersion } from '#protocol/room-version.ts'
import type { LocalEvent } from '#rooms/rooms.ts'

export type StateEvent = Omit<LocalEvent, 'sender'>

/** One room takes the place of another. */
export interface Succession {
  readonly from: RoomId
  readonly version: RoomVersion
  /** The create event of the old room. */
  readonly create: Pdu
  readonly creator: UserId
  readonly additionalCreators: readonly UserId[]
  /** The aliases of this server that lead to the old room. */
  readonly aliases: readonly RoomAlias[]
}

/** The recommended state events to transfer, and the children of a space. Those with an empty key, but for the last. */
const copied = new Set([
  'm.room.server_acl',
  'm.room.encryption',
  'm.room.name',
  'm.room.avatar',
  'm.room.topic',
  'm.room.guest_access',
  'm.room.history_visibility',
  'm.room.join_rules',
  'm.room.power_levels',
  'm.room.canonical_alias',
])

export function isTransferred(type: string, stateKey: string): boolean {
  return type === 'm.space.child' || (stateKey === '' && copied.has(type))
}

/** The content of the new room's create event, but for what the rooms put in. */
export function successorCreateContent(
  { from, version, create, creator, additionalCreators }: Succession,
  lastEvent: Pdu | undefined,
): JsonObject {
  const { type, 'm.federate': federate } = create.content
  const others = [...new Set(additionalCreators)].filter((userId) => userId !== creator)
  return {
    predecessor: { room_id: from, ...(lastEvent && { event_id: lastEvent.event_id }) },
    ...(type !== undefined && { type }),
    ...(federate !== undefined && { 'm.federate': federate }),
    // When upgrading to a room version which doesn't support additional creators, this field is
    // ignored.
    ...(version.privilegedCreators && others.length > 0 && { additional_creators: others }),
  }
}

/**
 * The events after the creator's join, with those that ban users. The levels come last: until then the
 * creator may send all of them, whatever the old room lets them.
 */
export function successorEvents(
  succession: Succession,
  state: readonly Pdu[],
  bans: readonly StateEvent[],
): StateEvent[] {
  const levels = state.find(({ type }) => type === 'm.room.power_levels')
  const others = [...state.flatMap((pdu) => transferred(succession, pdu) ?? []), ...bans]
  if (levels === undefined) return others
  return [...others, stateEvent('m.room.power_levels', successorLevels(succession, levels))]
}

function transferred(succession: Succession, pdu: Pdu): StateEvent | undefined {
  const { type, state_key = '', content } = pdu
  if (type === 'm.room.power_levels' || Object.keys(content).length === 0) return undefined
  if (type === 'm.room.join_rules') return stateEvent(type, successorJoinRules(succession, content))
  if (type !== 'm.room.canonical_alias') return { type, state_key, content }
  const moved = canonicalAliases(content, (alias) => succession.aliases.includes(alias))
  return Object.keys(moved).length === 0 ? undefined : stateEvent(type, moved)
}

function stateEvent(type: string, content: JsonObject): StateEvent {
  return { type, state_key: '', content }
}

/** Those of a room's canonical aliases for which `keeps` says so. */
export function canonicalAliases(
  { alias, alt_aliases }: JsonObject,
  keeps: (alias: RoomAlias) => boolean,
): JsonObject {
  const isKept = (text: Json) => typeof text === 'string' && keeps(text as RoomAlias)
  const alternatives = Array.isArray(alt_aliases) ? (alt_aliases as Json[]).filter(isKept) : []
  return {
    ...(alias !== undefined && isKept(alias) && { alias }),
    ...(alternatives.length > 0 && { alt_aliases: alternatives }),
  }
}

/**
 * The members of a room that is not open to all may follow into its successor, where its version can
 * say so. Where it cannot say what the old one said, one has to be invited.
 */
function successorJoinRules({ from, version }: Succession, content: JsonObject): JsonObject {
  const { join_rule: rule, allow, ...rest } = content
  const isKnock = rule === 'knock' || rule === 'knock_restricted'
  const isClosed = isKnock || rule === 'invite' || rule === 'restricted'
  if (!isClosed) return content
  const knock = version.knocking ? 'knock' : 'invite'
  const closed = isKnock ? knock : 'invite'
  const restricted = isKnock && version.knockRestrictedJoins ? 'knock_restricted' : 'restricted'
  // A room that took knocks goes on to do so: before there is the rule for both, that counts more.
  const isRestricted = version.restrictedJoins && (!isKnock || version.knockRestrictedJoins)
  if (!isRestricted) return { ...rest, join_rule: closed }
  const others = Array.isArray(allow) ? (allow as Json[]) : []
  const follow = { type: 'm.room_membership', room_id: from }
  return { ...rest, join_rule: restricted, allow: [...others, follow] }
}

/** The levels of the old room, as the new one's version reads them and as its creators have them. */
function successorLevels(succession: Succession, levels: Pdu): JsonObject {
  const { version, create, creator, additionalCreators } = succession
  const numbers = version.integerPowerLevels ? integerLevels(levels) : levels.content
  const users = { ...(isJsonObject(numbers.users) ? numbers.users : {}) }
  if (version.privilegedCreators) {
    // Creators have infinite power, and cannot be specified in the users field.
    for (const userId of [creator, ...additionalCreators]) delete users[userId]
  } else if (levels.version.privilegedCreators) {
    // Whose power was infinite have as much as anybody.
    const highest = Math.max(100, ...Object.values(users).map(Number))
    for (const userId of creatorsOf(create)) users[userId] = highest
  }
  return { ...numbers, users }
}

/** Levels as integers, where they could be read; what could not is left out. */
function integerLevels({ version, content }: Pdu): JsonObject {
  const isTable = (value: Json | undefined): value is JsonObject => isJsonObject(value)
  const integer = (value: Json | undefined) => {
    const level = readPowerLevel(version, value)
    return typeof level === 'number' && Number.isSafeInteger(level) ? level : undefined
  }
  const integers = (table: JsonObject) =>
    Object.fromEntries(
      Object.entries(table).flatMap(([key, value]) => {
        const level = integer(value)
        return level === undefined ? [] : [[key, level]]
      }),
    )
  const named = integers(
    Object.fromEntries(Object.entries(content).filter(([key]) => Object.hasOwn(namedLevels, key))),
  )
  const tables = Object.entries(content).flatMap(([key, value]) =>
    ['users', 'events', 'notifications'].includes(key) && isTable(value)
      ? [[key, integers(value)]]
      : [],
  )
  return { ...named, ...Object.fromEntries(tables) }
}

/**
 * The power levels in the old room should also be modified to prevent sending of events and inviting new
 * users: setting `events_default` and `invite` to the greater of `50` and `users_default + 1`. Gives
 * nothing if they are as high already.
 */
export function closedLevels(create: Pdu, levels: Pdu | undefined): JsonObject | undefined {
  const level = (name: NamedLevel) => Number((levels && levelOf(levels, name)) ?? namedLevels[name])
  const least = Math.max(50, level('users_default') + 1)
  const raised = (['events_default', 'invite'] as const).filter((name) => !(level(name) >= least))
  if (raised.length === 0 || !Number.isSafeInteger(least)) return undefined
  const before = levels?.content ?? levelsWithout(create)
  return { ...before, ...Object.fromEntries(raised.map((name) => [name, least])) }
}

/** What holds in a room without levels, written down. */
function levelsWithout(create: Pdu): JsonObject {
  const creator = creatorOf(create)
  const isAbove = create.version.privilegedCreators || creator === undefined
  return isAbove ? {} : { users: { [creator]: 100 } }
}
