/**
 * A user's push rules: what they changed, and what they have with the rules that everybody has.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#push-rules
 *
 * @module
 */

import type { UserId } from '../identifiers/ids.ts'
import { isJsonObject, type JsonObject } from '../json.ts'
import { MatrixError } from '../matrix-error.ts'
import { defaultPushRules } from './default-rules.ts'

/** The kinds of rules, in the order that they are checked. */
export const ruleKinds = [
  'override',
  'content',
  'postcontent',
  'room',
  'sender',
  'underride',
] as const
export type RuleKind = (typeof ruleKinds)[number]

/** How many rules of their own a user may have. */
export const rulesMax = 10_000
/** The size of one rule, as JSON. */
export const ruleBytesMax = 1024
/** The size of all rules of a user: they are stored, and told to clients, as a whole. */
export const rulesBytesMax = 1024 * 1024

/** What a rule has done: `notify`, or an object with `set_tweak`. */
export type PushAction = string | JsonObject

/** A rule as clients see it. */
export interface PushRule {
  readonly rule_id: string
  readonly default: boolean
  readonly enabled: boolean
  readonly actions: readonly PushAction[]
  /** Of `override`, `postcontent` and `underride` rules. */
  readonly conditions?: readonly JsonObject[]
  /** Of `content` rules. */
  readonly pattern?: string
}

/** What a user changed. In this form it is stored. */
export interface ChangedRules {
  /** The user's own rules, the most important first. */
  readonly own: Readonly<Record<RuleKind, readonly PushRule[]>>
  /** What is changed of the default rules, by their IDs. */
  readonly defaults: ReadonlyMap<string, Partial<Pick<PushRule, 'enabled' | 'actions'>>>
}

export const noChanges: ChangedRules = {
  own: { override: [], content: [], postcontent: [], room: [], sender: [], underride: [] },
  defaults: new Map(),
}

/** All rules that hold for a user, by kind, the most important first. */
export type Ruleset = Readonly<Record<RuleKind, readonly PushRule[]>>

const masterId = '.m.rule.master'

/**
 * Server-default rules operate at a lower priority than user-defined rules, except for the
 * `.m.rule.master` rule which has always a higher priority than any other rule.
 */
export function rulesetOf(userId: UserId, { own, defaults }: ChangedRules): Ruleset {
  const usual = defaultPushRules(userId)
  const of = (kind: RuleKind): PushRule[] => {
    const rules = usual[kind].map((rule) => ({
      ...rule,
      ...defaults.get(rule.rule_id),
    }))
    const first = rules.filter(({ rule_id }) => rule_id === masterId)
    return [...first, ...own[kind], ...rules.slice(first.length)]
  }
  return {
    override: of('override'),
    content: of('content'),
    postcontent: of('postcontent'),
    room: of('room'),
    sender: of('sender'),
    underride: of('underride'),
  }
}

/** One of a user's rules. Throws 404 if they have no such rule. */
export function ruleIn(ruleset: Ruleset, kind: RuleKind, ruleId: string): PushRule {
  const found = ruleset[kind].find(({ rule_id }) => rule_id === ruleId)
  if (found === undefined) throw new MatrixError(404, 'M_NOT_FOUND', 'There is no such push rule.')
  return found
}

/** Where a rule is put among the user's own of its kind. */
export interface RulePlace {
  readonly before?: string | undefined
  readonly after?: string | undefined
}

/** Adds a rule, or changes one with its ID. Throws 400 if it cannot stand where it should. */
export function withRule(
  { own, defaults }: ChangedRules,
  kind: RuleKind,
  rule: PushRule,
  { before, after }: RulePlace,
): ChangedRules {
  const known = own[kind]
  const at = known.findIndex(({ rule_id }) => rule_id === rule.rule_id)
  const enabled = known[at]?.enabled ?? rule.enabled
  const others = known.filter(({ rule_id }) => rule_id !== rule.rule_id)
  const place = placeIn(others, { before, after }, at === -1 ? 0 : at)
  return { defaults, own: { ...own, [kind]: others.toSpliced(place, 0, { ...rule, enabled }) } }
}

/**
 * If both `after` and `before` are provided, the new or updated rule must be the next most important
 * rule with respect to the rule identified by `before`.
 */
function placeIn(others: readonly PushRule[], { before, after }: RulePlace, otherwise: number) {
  const neighbour = before ?? after
  if (neighbour === undefined) return otherwise
  const at = others.findIndex(({ rule_id }) => rule_id === neighbour)
  if (at === -1) {
    const message = `There is no push rule '${neighbour}' of yours to put this one beside.`
    throw new MatrixError(400, 'M_UNKNOWN', message)
  }
  return before === undefined ? at + 1 : at
}

/** Throws 404 if there is no such rule, 400 for one that everybody has. */
export function withoutRule(changed: ChangedRules, kind: RuleKind, ruleId: string): ChangedRules {
  if (isDefault(ruleId)) {
    const message = 'The rules that everybody has cannot be deleted, only disabled.'
    throw new MatrixError(400, 'M_INVALID_PARAM', message)
  }
  const { own, defaults } = changed
  const rest = own[kind].filter(({ rule_id }) => rule_id !== ruleId)
  if (rest.length === own[kind].length) {
    throw new MatrixError(404, 'M_NOT_FOUND', 'There is no such push rule.')
  }
  return { defaults, own: { ...own, [kind]: rest } }
}

/** Changes a rule of the user's own, or one that everybody has. Throws 404 if there is none. */
export function withChange(
  changed: ChangedRules,
  { userId, kind, ruleId }: { userId: UserId; kind: RuleKind; ruleId: string },
  change: Partial<Pick<PushRule, 'enabled' | 'actions'>>,
): ChangedRules {
  const rule = ruleIn(rulesetOf(userId, changed), kind, ruleId)
  const { own, defaults } = changed
  if (rule.default) {
    const sum = { ...defaults.get(ruleId), ...change }
    return { own, defaults: new Map([...defaults, [ruleId, sum]]) }
  }
  const rules = own[kind].map((one) => (one.rule_id === ruleId ? { ...one, ...change } : one))
  return { defaults, own: { ...own, [kind]: rules } }
}

/** Gives a room the rules of another one, which it takes the place of. Its own stay. */
export function withRoomCarriedOver(
  { own, defaults }: ChangedRules,
  rooms: { readonly from: string; readonly to: string },
): ChangedRules {
  const hasRule = own.room.some(({ rule_id }) => rule_id === rooms.to)
  const old = own.room.find(({ rule_id }) => rule_id === rooms.from)
  const room =
    old === undefined || hasRule ? own.room : [{ ...old, rule_id: rooms.to }, ...own.room]
  return { defaults, own: { ...own, room } }
}

export function isDefault(ruleId: string): boolean {
  return ruleId.startsWith('.')
}

/** How many rules a user has of their own. */
export function countRules({ own }: ChangedRules): number {
  return ruleKinds.reduce((sum, kind) => sum + own[kind].length, 0)
}

/** As it is stored. */
export function changedRulesJson({ own, defaults }: ChangedRules): JsonObject {
  return { own, defaults: Object.fromEntries(defaults) } as object as JsonObject
}

/** Reads what `changedRulesJson` gave. */
export function readChangedRules(stored: JsonObject): ChangedRules {
  const own = isJsonObject(stored.own) ? stored.own : {}
  const defaults = isJsonObject(stored.defaults) ? stored.defaults : {}
  const of = (kind: RuleKind) =>
    Array.isArray(own[kind]) ? (own[kind] as readonly object[] as readonly PushRule[]) : []
  return {
    own: {
      override: of('override'),
      content: of('content'),
      postcontent: of('postcontent'),
      room: of('room'),
      sender: of('sender'),
      underride: of('underride'),
    },
    defaults: new Map(Object.entries(defaults as object as Record<string, Partial<PushRule>>)),
  }
}
