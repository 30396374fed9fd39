/**
 * Shows and changes push rules.
 *
 * @module
 */

import {
  deletePushRule,
  getPushRule,
  getPushRuleActions,
  getPushRules,
  getPushRulesGlobal,
  isPushRuleEnabled,
  setPushRule,
  setPushRuleActions,
  setPushRuleEnabled,
} from '#endpoints/client-server/pushrules.ts'
import { answer } from '#http/endpoint.ts'
import type { UserId } from '#protocol/identifiers/ids.ts'
import { ruleIn } from '#protocol/push-rules/ruleset.ts'
import type { Server } from '#server.ts'
import type { RuleName } from '#users/push-rules.ts'

type Needs = Pick<Server, 'users'>

async function ruleOf({ users }: Needs, userId: UserId, { kind, ruleId }: RuleName) {
  return ruleIn(await users.pushRules.rules(userId), kind, ruleId)
}

export const pushRuleRoutes = [
  answer(getPushRules, async ({ session: { userId } }, { users }: Needs) => ({
    global: await users.pushRules.rules(userId),
  })),
  answer(getPushRulesGlobal, ({ session: { userId } }, { users }: Needs) =>
    users.pushRules.rules(userId),
  ),
  answer(getPushRule, ({ session: { userId }, params }, needs: Needs) =>
    ruleOf(needs, userId, params),
  ),
  answer(setPushRule, async ({ session: { userId }, params, query, body }, { users }: Needs) => {
    await users.pushRules.put(userId, params, body, query)
    return {}
  }),
  answer(deletePushRule, async ({ session: { userId }, params }, { users }: Needs) => {
    await users.pushRules.delete(userId, params)
    return {}
  }),
  answer(isPushRuleEnabled, async ({ session: { userId }, params }, needs: Needs) => {
    const { enabled } = await ruleOf(needs, userId, params)
    return { enabled }
  }),
  answer(setPushRuleEnabled, async ({ session: { userId }, params, body }, { users }: Needs) => {
    await users.pushRules.setEnabled(userId, params, body.enabled)
    return {}
  }),
  answer(getPushRuleActions, async ({ session: { userId }, params }, needs: Needs) => {
    const { actions } = await ruleOf(needs, userId, params)
    return { actions }
  }),
  answer(setPushRuleActions, async ({ session: { userId }, params, body }, { users }: Needs) => {
    await users.pushRules.setActions(userId, params, body.actions)
    return {}
  }),
]
