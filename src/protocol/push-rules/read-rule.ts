/**
 * Reads a push rule that a client gives.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3pushrulesglobalkindruleid
 *
 * @module
 */

import type { JsonObject } from '../json.ts'
import { MatrixError } from '../matrix-error.ts'
import {
  isDefault,
  type PushAction,
  type PushRule,
  type RuleKind,
  ruleBytesMax,
} from './ruleset.ts'

/** What a client gives of a rule. */
export interface GivenRule {
  readonly actions: readonly PushAction[]
  readonly conditions?: readonly JsonObject[] | undefined
  readonly pattern?: string | undefined
}

/** The rule, enabled. Throws a `MatrixError` for one that cannot be taken. */
export function readRule(kind: RuleKind, ruleId: string, given: GivenRule): PushRule {
  checkRuleId(ruleId)
  if (kind === 'postcontent') throw bad("Users have no 'postcontent' rules of their own.")
  const hasConditions = kind === 'override' || kind === 'underride'
  const rule: PushRule = {
    rule_id: ruleId,
    default: false,
    enabled: true,
    ...(hasConditions && { conditions: readConditions(given.conditions ?? []) }),
    ...(kind === 'content' && { pattern: readPattern(given.pattern) }),
    actions: readActions(given.actions),
  }
  if (Buffer.byteLength(JSON.stringify(rule)) > ruleBytesMax) {
    const message = `A push rule has at most ${ruleBytesMax} bytes.`
    throw new MatrixError(413, 'M_TOO_LARGE', message)
  }
  return rule
}

/**
 * If the string starts with a dot, the request MUST be rejected as this is reserved for server-default
 * rules. Slashes and backslashes are also not allowed.
 */
function checkRuleId(ruleId: string): void {
  if (isDefault(ruleId)) throw bad('The IDs of push rules that begin with a dot are reserved.')
  if (ruleId === '' || ruleId.includes('/') || ruleId.includes('\\')) {
    throw bad('The ID of a push rule is not empty, and has neither slashes nor backslashes.')
  }
}

/**
 * Older versions of the Matrix specification included the `dont_notify` and `coalesce` actions. Clients
 * and homeservers MUST ignore these actions, for instance, by stripping them.
 */
const historicalActions = new Set<PushAction>(['dont_notify', 'coalesce'])

export function readActions(actions: readonly PushAction[]): PushAction[] {
  const kept = actions.filter((action) => !historicalActions.has(action))
  for (const action of kept) {
    const isTweak = typeof action !== 'string' && typeof action.set_tweak === 'string'
    if (action !== 'notify' && !isTweak) {
      throw bad("An action is 'notify' or an object with 'set_tweak'.")
    }
  }
  return kept
}

function readConditions(conditions: readonly JsonObject[]): readonly JsonObject[] {
  if (conditions.every(({ kind }) => typeof kind === 'string')) return conditions
  throw bad("Each condition has a 'kind'.")
}

function readPattern(pattern: string | undefined): string {
  if (pattern !== undefined && pattern !== '') return pattern
  throw new MatrixError(400, 'M_MISSING_PARAM', "A rule for contents has a 'pattern'.")
}

function bad(sentence: string): MatrixError {
  return new MatrixError(400, 'M_INVALID_PARAM', sentence)
}
