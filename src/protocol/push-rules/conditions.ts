/**
 * The conditions of push rules.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#conditions
 *
 * @module
 */

import type { UserId } from '../identifiers/ids.ts'
import type { Json, JsonObject } from '../json.ts'
import type { EventView } from './event-view.ts'
import { costOf, matchesWhole, matchesWords } from './text-pattern.ts'

/** What a condition asks of the user whose rule it is. */
export interface Recipient {
  readonly userId: UserId
  /** Their display name in the room. */
  readonly displayName: string | undefined
  /**
   * How much matching of patterns the event may still cause for them: characters looked at. What is
   * beyond it does not match.
   */
  work: number
}

/** A condition that is ready to be asked. */
export interface Condition {
  readonly holds: (event: EventView, recipient: Recipient) => boolean
  /** Whether the answer is the same for everybody. */
  readonly isShared: boolean
}

const never: Condition = { holds: () => false, isShared: true }

/** Unrecognised conditions MUST NOT match any events. */
export function compileCondition(condition: JsonObject): Condition {
  const { kind, key, pattern, is, value } = condition
  const hasKey = typeof key === 'string'
  switch (kind) {
    case 'event_match':
      return hasKey && typeof pattern === 'string' ? eventMatch(key, pattern) : never
    case 'event_property_is':
      return hasKey && isSimple(value) ? eventPropertyIs(key, value) : never
    case 'event_property_contains':
      return hasKey && isSimple(value) ? eventPropertyContains(key, value) : never
    case 'contains_display_name':
      return containsDisplayName
    case 'room_member_count':
      return typeof is === 'string' ? roomMemberCount(is) : never
    case 'io.element.msc4306.thread_subscription':
      return typeof condition.subscribed === 'boolean'
        ? threadSubscription(condition.subscribed)
        : never
    case 'sender_notification_permission':
      return hasKey ? { isShared: true, holds: (event) => event.senderMayNotify(key) } : never
    default:
      return never
  }
}

/**
 * For a condition that is about its user, whose ID it has or whose threads it asks for: whether it may hold for anybody at all.
 * `undefined` for any other condition.
 */
export function ownCondition(
  { kind, key, pattern, value }: JsonObject,
  userId: UserId,
): ((event: EventView) => boolean) | undefined {
  if (kind === 'io.element.msc4306.thread_subscription') {
    return (event) => event.subscriptions.size > 0
  }
  if (typeof key !== 'string') return undefined
  if (kind === 'event_match' && pattern === userId) return (event) => event.text(key) !== undefined
  if (kind !== 'event_property_contains' || value !== userId) return undefined
  return (event) => Array.isArray(event.property(key))
}

/**
 * If the property specified by `key` is completely absent from the event, or does not have a string
 * value, then the condition will not match, even if `pattern` is `*`.
 */
function eventMatch(key: string, pattern: string): Condition {
  // As a special case, if `key` is `content.body`, then `pattern` must instead match any substring of
  // the value of the property which starts and ends at a word boundary.
  if (key === 'content.body') return bodyMatch(pattern)
  const wanted = pattern.toLowerCase()
  if (/[*?]/.test(wanted)) {
    return {
      isShared: false,
      holds: (event, recipient) => {
        const text = event.characters(key)
        if (text === undefined || !mayWork(recipient, text.length * costOf(wanted))) return false
        return matchesWhole(wanted, text)
      },
    }
  }
  return { isShared: true, holds: (event) => event.text(key) === wanted }
}

/** The body has words that match. */
export function bodyMatch(pattern: string): Condition {
  const wanted = pattern.toLowerCase()
  return { isShared: false, holds: (event, recipient) => bodyHas(event, recipient, wanted) }
}

function bodyHas(event: EventView, recipient: Recipient, pattern: string): boolean {
  const text = event.characters('content.body')
  if (text === undefined || !mayWork(recipient, text.length * costOf(pattern))) return false
  return matchesWords(pattern, text)
}

/** What would have a meaning in a pattern has none in a name. */
const containsDisplayName: Condition = {
  isShared: false,
  holds: (event, recipient) => {
    const name = recipient.displayName
    if (name === undefined || name === '') return false
    return bodyHas(event, recipient, name.toLowerCase().replaceAll(/[*?]/g, '?'))
  },
}

/** The event is part of a thread, and the user is subscribed to it or is not. */
function threadSubscription(subscribed: boolean): Condition {
  return {
    isShared: false,
    holds: ({ subscriptions }, { userId }) => subscriptions.get(userId) === subscribed,
  }
}

function mayWork(recipient: Recipient, work: number): boolean {
  recipient.work -= work
  return recipient.work >= 0
}

/**
 * The match is performed exactly and only supports non-compound canonical JSON values: strings,
 * integers in the range of `[-(2**53)+1, (2**53)-1]`, booleans, and `null`.
 */
function isSimple(value: Json | undefined): value is string | number | boolean | null {
  if (typeof value === 'number') return Number.isSafeInteger(value)
  return value === null || typeof value === 'string' || typeof value === 'boolean'
}

function eventPropertyIs(key: string, value: Json): Condition {
  return { isShared: true, holds: (event) => event.property(key) === value }
}

function eventPropertyContains(key: string, value: Json): Condition {
  return {
    isShared: true,
    holds: (event) => {
      const found = event.property(key)
      return Array.isArray(found) && found.includes(value)
    },
  }
}

/** A decimal integer optionally prefixed by one of `==`, `<`, `>`, `>=` or `<=`. */
function roomMemberCount(is: string): Condition {
  const [, comparison = '==', digits] = /^(==|<|>|>=|<=)?([0-9]{1,15})$/.exec(is) ?? []
  if (digits === undefined) return never
  const wanted = Number(digits)
  const compare = comparisons[comparison as keyof typeof comparisons]
  return { isShared: true, holds: ({ room }) => compare(room.memberCount, wanted) }
}

const comparisons = {
  '==': (count: number, wanted: number) => count === wanted,
  '<': (count: number, wanted: number) => count < wanted,
  '>': (count: number, wanted: number) => count > wanted,
  '>=': (count: number, wanted: number) => count >= wanted,
  '<=': (count: number, wanted: number) => count <= wanted,
}
