/**
 * Shows push rules: those that everybody has.
 *
 * @module
 */

import { getPushRules, getPushRulesGlobal } from '#endpoints/client-server/pushrules.ts'
import { answer } from '#http/endpoint.ts'
import { defaultPushRules } from '#protocol/push-rules/default-rules.ts'

export const pushRulesRoute = answer(getPushRules, async ({ session }) => ({
  global: defaultPushRules(session.userId),
}))

export const pushRulesGlobalRoute = answer(getPushRulesGlobal, async ({ session }) =>
  defaultPushRules(session.userId),
)
