/**
 * What push rules make of an event.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#push-rules
 *
 * @module
 */

import type { UserId } from '../identifiers/ids.ts'
import { isJsonObject, type Json, type JsonObject } from '../json.ts'
import {
  bodyMatch,
  type Condition,
  compileCondition,
  ownCondition,
  type Recipient,
} from './conditions.ts'
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
  readonly postcontent: readonly ReadyRule[]
  readonly room: ReadonlyMap<string, ReadyRule>
  readonly sender: ReadonlyMap<string, ReadyRule>
  readonly underride: readonly ReadyRule[]
  /** Whether the user's display name in the room is asked for. */
  readonly needsDisplayName: boolean
  /** What they come to where nothing is about this user; `undefined` if that is not known. */
  readonly common: CommonRules | undefined
}

/**
 * The rules of all users who have the same ones, but for their own IDs in them. Of most events they say
 * the same to everybody, which is found out once.
 */
export interface CommonRules {
  readonly rules: readonly CommonRule[]
}

interface CommonRule {
  readonly rule: ReadyRule
  /** Whether the rule is about its user: then it may match for one and not for another. */
  readonly isOwn: boolean
  /** What must hold for the rule to match for anybody. */
  readonly guards: readonly ((event: EventView) => boolean)[]
}

/**
 * Rules that were made ready, by their JSON text: those that many users have are one, so that what
 * they say of an event is found out once.
 */
export interface KnownRules {
  readonly rules: Map<string, ReadyRule>
  readonly common: Map<string, CommonRules>
}

/** How many distinct rules are kept to be shared. */
const knownMax = 20_000
/** How many distinct sets of rules are, and how much of JSON text one may be. */
const commonMax = 1_000
const commonUnitsMax = 10_000

export function noKnownRules(): KnownRules {
  return { rules: new Map(), common: new Map() }
}

export function readyRules(ruleset: Ruleset, userId: UserId, known: KnownRules): ReadyRules {
  const ready = (rule: PushRule) => readyRule(rule, known)
  const enabled = (rules: readonly PushRule[]) => rules.filter((rule) => rule.enabled)
  const byId = (rules: readonly PushRule[]) =>
    new Map(enabled(rules).map((rule) => [rule.rule_id, ready(rule)]))
  const { override, content, postcontent, room, sender, underride } = ruleset
  return {
    override: enabled(override).map(ready),
    content: enabled(content).map(({ pattern, actions }) => ({
      conditions: [bodyMatch(pattern ?? '')],
      isShared: false,
      notification: notificationOf(actions),
    })),
    postcontent: enabled(postcontent).map(ready),
    room: byId(room),
    sender: byId(sender),
    underride: enabled(underride).map(ready),
    needsDisplayName: enabled([...override, ...underride]).some(asksDisplayName),
    common: enabled(content).length > 0 ? undefined : commonRules(ruleset, userId, known),
  }
}

function commonRules(
  { override, postcontent, underride }: Ruleset,
  userId: UserId,
  known: KnownRules,
): CommonRules | undefined {
  const rules = [...override, ...postcontent, ...underride].filter(({ enabled }) => enabled)
  const key = JSON.stringify(
    rules.map(({ conditions = [], actions }) => [
      conditions.map((one) => (ownCondition(one, userId) ? ['own', one.kind, one.key] : one)),
      actions,
    ]),
  )
  const kept = known.common.get(key)
  if (kept !== undefined || key.length > commonUnitsMax) return kept
  const common: CommonRule[] = []
  for (const pushRule of rules) {
    const rule = readyRule(pushRule, known)
    const own = (pushRule.conditions ?? []).map((one) => ownCondition(one, userId))
    const isKnown = rule.conditions.every(({ isShared }, at) => isShared || own[at] !== undefined)
    if (!isKnown) return undefined
    const guards = rule.conditions.map(
      ({ holds }, index) => own[index] ?? ((event: EventView) => holds(event, nobody)),
    )
    common.push({ rule, isOwn: own.some((guard) => guard !== undefined), guards })
  }
  if (known.common.size >= commonMax) known.common.clear()
  return known.common.getOrInsertComputed(key, () => ({ rules: common }))
}

/** Asked of shared rules, which look at no recipient. */
const nobody: Recipient = { userId: '@:' as UserId, displayName: undefined, work: 0 }

function readyRule({ conditions = [], actions }: PushRule, known: KnownRules): ReadyRule {
  const key = JSON.stringify([conditions, actions])
  if (known.rules.size >= knownMax) known.rules.clear()
  return known.rules.getOrInsertComputed(key, () => {
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
  { override, content, postcontent, room, sender, underride, common }: ReadyRules,
  event: EventView,
  recipient: Recipient,
): ReadyRule | undefined {
  if (common !== undefined && !room.has(event.roomId) && !sender.has(event.sender)) {
    const answer = commonAnswer(common, event)
    if (answer !== 'own') return answer
  }
  const isMatch = (rule: ReadyRule) => matches(rule, event, recipient)
  return (
    override.find(isMatch) ??
    content.find(isMatch) ??
    postcontent.find(isMatch) ??
    room.get(event.roomId) ??
    sender.get(event.sender) ??
    underride.find(isMatch)
  )
}

/** The rule that matches for everybody, if any does; `own` if one may that is about its user. */
function commonAnswer(common: CommonRules, event: EventView): ReadyRule | 'own' | undefined {
  return event.commonAnswers.getOrInsertComputed(common, () => {
    const first = common.rules.find(({ guards }) => guards.every((holds) => holds(event)))
    return first?.isOwn ? 'own' : first?.rule
  })
}

function matches(rule: ReadyRule, event: EventView, recipient: Recipient): boolean {
  const known = rule.isShared ? event.answers.get(rule) : undefined
  if (known !== undefined) return known
  const answer = rule.conditions.every(({ holds }) => holds(event, recipient))
  if (rule.isShared) event.answers.set(rule, answer)
  return answer
}
