/**
 * Who is what in a room: the create event and the creators, memberships, the join rule.
 *
 * State events are read leniently: only what a rule needs is looked at, and what is not there or is
 * not a string counts as not being there.
 *
 * @module
 */

import { isJsonObject, type JsonObject } from '../json.ts'
import type { Pdu } from '../pdu.ts'
import type { AuthState } from './auth-state.ts'

/** The room's create event, if the state has one. */
export function createEventOf(state: AuthState): Pdu | undefined {
  return state.get('m.room.create', '')
}

/** The user's membership, `undefined` if there is none. It may be a word that no rule knows. */
export function membershipOf(state: AuthState, userId: string): string | undefined {
  const member = state.get('m.room.member', userId)
  return member === undefined ? undefined : stringIn(member.content, 'membership')
}

/**
 * The room's join rule. Without an event, or without the property in it, a room is for those who
 * were invited: the spec does not say so, but all servers do it.
 */
export function joinRuleOf(state: AuthState): string | undefined {
  const content = state.get('m.room.join_rules', '')?.content
  if (content === undefined || !Object.hasOwn(content, 'join_rule')) return 'invite'
  return stringIn(content, 'join_rule')
}

/** The one who created the room: who is said to be, or who sent the create event. */
export function creatorOf(create: Pdu): string | undefined {
  return create.version.creatorIsSender ? create.sender : stringIn(create.content, 'creator')
}

/**
 * Whether the user is one of those whose power is infinite: the `sender` of the create event, and the
 * user IDs in `additional_creators` in its content, if present. Nobody before version 12.
 */
export function isPrivilegedCreator(create: Pdu, userId: string): boolean {
  return create.version.privilegedCreators && creatorsOf(create).has(userId)
}

/** The creators of a room of version 12 or later. */
export function creatorsOf(create: Pdu): ReadonlySet<string> {
  const known = creatorsByCreateEvent.get(create)
  if (known !== undefined) return known
  const creators = new Set<string>([create.sender])
  const additional = create.content.additional_creators
  if (Array.isArray(additional)) {
    for (const userId of additional) if (typeof userId === 'string') creators.add(userId)
  }
  creatorsByCreateEvent.set(create, creators)
  return creators
}

/** Every event of a room asks for them, and a create event may name a thousand. */
const creatorsByCreateEvent = new WeakMap<Pdu, ReadonlySet<string>>()

/** The property, if the object itself has it and it is a string. */
export function stringIn(object: JsonObject, key: string): string | undefined {
  const value = Object.hasOwn(object, key) ? object[key] : undefined
  return typeof value === 'string' ? value : undefined
}

/** The property, if the object itself has it and it is an object. */
export function objectIn(object: JsonObject, key: string): JsonObject | undefined {
  const value = Object.hasOwn(object, key) ? object[key] : undefined
  return isJsonObject(value) ? value : undefined
}
