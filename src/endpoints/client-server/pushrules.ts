/**
 * Push rules: what a user is notified of.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#push-rules-api
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

const actions = t.array(t.union(t.string({ max: 255 }), t.jsonObject), { max: 100 })

const ruleFields = {
  rule_id: t.string(),
  default: t.boolean(),
  enabled: t.boolean(),
  actions,
  conditions: t.optional(t.array(t.jsonObject)),
  pattern: t.optional(t.string()),
}

const rules = t.array(t.object(ruleFields), { max: 20_000 })

const ruleset = t.object({
  override: rules,
  content: rules,
  postcontent: rules,
  room: rules,
  sender: rules,
  underride: rules,
})

const params = {
  kind: t.oneOf('override', 'underride', 'sender', 'room', 'content', 'postcontent'),
  ruleId: t.string({ max: 512 }),
}

/** `GET /_matrix/client/v3/pushrules/` */
export const getPushRules = endpoint({
  operationId: 'getPushRules',
  method: 'GET',
  path: '/_matrix/client/v3/pushrules/',
  auth: 'user',
  response: t.object({ global: ruleset }),
})

/** `GET /_matrix/client/v3/pushrules/global/` */
export const getPushRulesGlobal = endpoint({
  operationId: 'getPushRulesGlobal',
  method: 'GET',
  path: '/_matrix/client/v3/pushrules/global/',
  auth: 'user',
  response: ruleset,
})

const rulePath = '/_matrix/client/v3/pushrules/global/{kind}/{ruleId}'

/** `GET /_matrix/client/v3/pushrules/global/{kind}/{ruleId}` */
export const getPushRule = endpoint({
  operationId: 'getPushRule',
  method: 'GET',
  path: rulePath,
  auth: 'user',
  params,
  response: t.object(ruleFields),
})

/** `PUT /_matrix/client/v3/pushrules/global/{kind}/{ruleId}` */
export const setPushRule = endpoint({
  operationId: 'setPushRule',
  method: 'PUT',
  path: rulePath,
  auth: 'user',
  params,
  query: {
    before: t.optional(t.string({ max: 512 })),
    after: t.optional(t.string({ max: 512 })),
  },
  body: t.object({
    actions,
    conditions: t.optional(t.array(t.jsonObject, { max: 100 })),
    pattern: t.optional(t.string()),
  }),
  response: t.object({}),
})

/** `DELETE /_matrix/client/v3/pushrules/global/{kind}/{ruleId}` */
export const deletePushRule = endpoint({
  operationId: 'deletePushRule',
  method: 'DELETE',
  path: rulePath,
  auth: 'user',
  params,
  response: t.object({}),
})

/** `GET /_matrix/client/v3/pushrules/global/{kind}/{ruleId}/enabled` */
export const isPushRuleEnabled = endpoint({
  operationId: 'isPushRuleEnabled',
  method: 'GET',
  path: `${rulePath}/enabled`,
  auth: 'user',
  params,
  response: t.object({ enabled: t.boolean() }),
})

/** `PUT /_matrix/client/v3/pushrules/global/{kind}/{ruleId}/enabled` */
export const setPushRuleEnabled = endpoint({
  operationId: 'setPushRuleEnabled',
  method: 'PUT',
  path: `${rulePath}/enabled`,
  auth: 'user',
  params,
  body: t.object({ enabled: t.boolean() }),
  response: t.object({}),
})

/** `GET /_matrix/client/v3/pushrules/global/{kind}/{ruleId}/actions` */
export const getPushRuleActions = endpoint({
  operationId: 'getPushRuleActions',
  method: 'GET',
  path: `${rulePath}/actions`,
  auth: 'user',
  params,
  response: t.object({ actions }),
})

/** `PUT /_matrix/client/v3/pushrules/global/{kind}/{ruleId}/actions` */
export const setPushRuleActions = endpoint({
  operationId: 'setPushRuleActions',
  method: 'PUT',
  path: `${rulePath}/actions`,
  auth: 'user',
  params,
  body: t.object({ actions }),
  response: t.object({}),
})
