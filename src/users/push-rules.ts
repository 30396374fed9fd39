/**
 * Push rules: what a user wants to be notified of. They are kept as account data, and clients are told
 * of changes as of that.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#push-rules-api
 *
 * @module
 */

import type { RoomId, UserId } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import { type GivenRule, readActions, readRule } from '#protocol/push-rules/read-rule.ts'
import {
  type ChangedRules,
  countRules,
  type PushAction,
  type RuleKind,
  type RulePlace,
  type Ruleset,
  rulesetOf,
  rulesMax,
  withChange,
  withoutRule,
  withRoomCarriedOver,
  withRule,
} from '#protocol/push-rules/ruleset.ts'
import type { AccountData } from './account-data.ts'

/** One rule of a user. */
export interface RuleName {
  readonly kind: RuleKind
  readonly ruleId: string
}

export interface PushRules {
  /** All rules that hold for a user. */
  rules(userId: UserId): Promise<Ruleset>
  /** Adds or replaces a rule. Throws a `MatrixError` if it cannot be taken. */
  put(userId: UserId, name: RuleName, rule: GivenRule, place: RulePlace): Promise<void>
  /** Throws 404 if there is no such rule, 400 for one that everybody has. */
  delete(userId: UserId, name: RuleName): Promise<void>
  /** Throws 404 if there is no such rule. */
  setEnabled(userId: UserId, name: RuleName, enabled: boolean): Promise<void>
  /** Throws 404 if there is no such rule, 400 for actions that there are not. */
  setActions(userId: UserId, name: RuleName, actions: readonly PushAction[]): Promise<void>
  /** Gives the room that takes the place of another one what the user wants of that. */
  carryOver(userId: UserId, rooms: { readonly from: RoomId; readonly to: RoomId }): Promise<void>
  /** Calls `listener` after each change. */
  onChange(listener: (userId: UserId) => void): void
}

export function createPushRules({
  accountData,
}: {
  readonly accountData: Pick<AccountData, 'changePushRules' | 'pushRules'>
}): PushRules {
  const listeners: ((userId: UserId) => void)[] = []
  const change = async (userId: UserId, act: (changed: ChangedRules) => ChangedRules) => {
    await accountData.changePushRules(userId, act)
    for (const listener of listeners) listener(userId)
  }
  return {
    rules: async (userId) => rulesetOf(userId, await accountData.pushRules(userId)),
    put: async (userId, { kind, ruleId }, given, place) => {
      const rule = readRule(kind, ruleId, given)
      await change(userId, (changed) => {
        const more = withRule(changed, kind, rule, place)
        if (countRules(more) <= rulesMax) return more
        const message = `You have ${rulesMax} push rules already: delete some.`
        throw new MatrixError(400, 'M_RESOURCE_LIMIT_EXCEEDED', message)
      })
    },
    delete: (userId, { kind, ruleId }) =>
      change(userId, (changed) => withoutRule(changed, kind, ruleId)),
    setEnabled: (userId, name, enabled) =>
      change(userId, (changed) => withChange(changed, { userId, ...name }, { enabled })),
    setActions: async (userId, name, given) => {
      const actions = readActions(given)
      await change(userId, (changed) => withChange(changed, { userId, ...name }, { actions }))
    },
    carryOver: async (userId, rooms) => {
      const before = await accountData.pushRules(userId)
      if (withRoomCarriedOver(before, rooms).own.room === before.own.room) return
      await change(userId, (changed) => withRoomCarriedOver(changed, rooms))
    },
    onChange: (listener) => listeners.push(listener),
  }
}
