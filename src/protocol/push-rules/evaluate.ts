/**
 * What push rules make of an event.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#push-rules
 *
 * @module
 */

import { isJsonObject, type Json, type JsonObject } from '../json.ts'
import { bodyMatch, type Condition, compileCondition, type Recipient } from './conditions.ts'
import type { EventView } from './event-view.ts'
import type { PushAction, PushRule, Ruleset } from './ruleset.ts'

/** That an event is to be told, and how. */
export interface Notification {
  /** As the rule has them. */
  readonly actions: readonly PushAction[]
  readonly highlight: boolean
}

/** A rule that is ready to be asked. */
export interface ReadyRule {
  readonly conditions: readonly Condition[]
  /** Whether it matches for everybody, or for nobody. */
  readonly isShared: boolean
  /** `undefined` if the rule says not to notify. */
  readonly notification: Notification | undefined
}

/** A ruleset that is ready to be asked. Disabled rules are not in it: they never match. */
export interface ReadyRules {
  /** What is asked before, between and after the rules for rooms and senders. */
  readonly override: readonly ReadyRule[]
  readonly content: readonly ReadyRule[]
  readonly room: ReadonlyMap<string, ReadyRule>
  readonly sender: ReadonlyMap<string, ReadyRule>
  readonly underride: readonly ReadyRule[]
  /** Whether the user's display name in the room is asked for. */
  readonly needsDisplayName: boolean
}

/**
 * Rules that were made ready, by their JSON text: those that many users have are one, so that what
 * they say of an event is found out once.
 */
export type KnownRules = Map<string, ReadyRule>

/** How many distinct rules are kept to be shared. */
const knownMax = 20_000

export function readyRules(ruleset: Ruleset, known: KnownRules): ReadyRules {
  const ready = (rule: PushRule) => readyRule(rule, known)
  const enabled = (rules: readonly PushRule[]) => rules.filter((rule) => rule.enabled)
  const byId = (rules: readonly PushRule[]) =>
    new Map(enabled(rules).map((rule) => [rule.rule_id, ready(rule)]))
  const { override, content, room, sender, underride } = ruleset
  return {
    override: enabled(override).map(ready),
    content: enabled(content).map(({ pattern, actions }) => ({
      conditions: [bodyMatch(pattern ?? '')],
      isShared: false,
      notification: notificationOf(actions),
    })),
    room: byId(room),
    sender: byId(sender),
    underride: enabled(underride).map(ready),
    needsDisplayName: enabled([...override, ...underride]).some(asksDisplayName),
  }
}

function readyRule({ conditions = [], actions }: PushRule, known: KnownRules): ReadyRule {
  const key = JSON.stringify([conditions, actions])
  if (known.size >= knownMax) known.clear()
  return known.getOrInsertComputed(key, () => {
    const compiled = conditions.map(compileCondition)
    const isShared = compiled.every((condition) => condition.isShared)
    return { conditions: compiled, isShared, notification: notificationOf(actions) }
  })
}

function asksDisplayName({ conditions }: PushRule): boolean {
  return conditions?.some(({ kind }) => kind === 'contains_display_name') ?? false
}

/**
 * If a `highlight` tweak is given with no value, its value is defined to be `true`. If no highlight
 * tweak is given at all then the value of `highlight` is defined to be false.
 */
function notificationOf(actions: readonly PushAction[]): Notification | undefined {
  if (!actions.includes('notify')) return undefined
  return { actions, highlight: isHighlight(actions) }
}

export function isHighlight(actions: readonly PushAction[]): boolean {
  return tweaksIn(actions).highlight === true
}

/** The tweaks that a notification is given with. */
export function tweaksIn(actions: readonly PushAction[]): JsonObject {
  const tweaks = actions.filter(isJsonObject).flatMap((action): [string, Json][] => {
    const { set_tweak: name } = action
    if (typeof name !== 'string') return []
    const value = action.value ?? (name === 'highlight' ? true : null)
    return value === null ? [] : [[name, value]]
  })
  return Object.fromEntries(tweaks)
}

/**
 * What a user is told of an event: what the rule of highest priority says that matches. `undefined` if
 * they are not notified, since none does or it says so. Not for the sender: homeservers MUST NOT notify
 * the Push Gateway for events that the user has sent themselves.
 */
export function notificationFor(
  rules: ReadyRules,
  event: EventView,
  recipient: Recipient,
): Notification | undefined {
  return matchingRule(rules, event, recipient)?.notification
}

function matchingRule(
  { override, content, room, sender, underride }: ReadyRules,
  event: EventView,
  recipient: Recipient,
): ReadyRule | undefined {
  const isMatch = (rule: ReadyRule) => matches(rule, event, recipient)
  return (
    override.find(isMatch) ??
    content.find(isMatch) ??
    room.get(event.roomId) ??
    sender.get(event.sender) ??
    underride.find(isMatch)
  )
}

function matches(rule: ReadyRule, event: EventView, recipient: Recipient): boolean {
  const known = rule.isShared ? event.answers.get(rule) : undefined
  if (known !== undefined) return known
  const answer = rule.conditions.every(({ holds }) => holds(event, recipient))
  if (rule.isShared) event.answers.set(rule, answer)
  return answer
}
