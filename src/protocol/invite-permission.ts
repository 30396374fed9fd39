/**
 * By whom a user wants to be invited.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#invite-permission
 * https://spec.matrix.org/v1.19/client-server-api/#ignoring-users
 *
 * @module
 */

import { matchesGlob } from './glob.ts'
import { serverNameOf } from './identifiers/common-format.ts'
import type { UserId } from './identifiers/ids.ts'
import { isJsonObject, type Json } from './json.ts'

/** `ignore`: the invite stands, and the user is not shown it. */
export type InviteDecision = 'allow' | 'ignore' | 'block'

/** What a user keeps under these types of account data. */
export interface InviteWishes {
  /** `m.ignored_user_list` */
  readonly ignoredUsers: Json | undefined
  /** `m.invite_permission_config` */
  readonly permission: Json | undefined
  /** `org.matrix.msc4155.invite_permission_config`: lists of patterns. */
  readonly filters: Json | undefined
}

/** How many patterns of a list are looked at, and how long they may be. */
const patternsMax = 1_000
const patternLengthMax = 255

/** Whom `m.ignored_user_list` names. */
export function ignoredUsersIn(content: Json | undefined): ReadonlySet<string> {
  const users = isJsonObject(content) ? content.ignored_users : undefined
  return new Set(isJsonObject(users) ? Object.keys(users) : [])
}

export function inviteDecision(wishes: InviteWishes, sender: UserId): InviteDecision {
  const { permission } = wishes
  // When set to `block`, the user does not wish to receive any room invites. A missing, invalid or
  // unsupported value means that the user wants to receive invites as normal.
  if (isJsonObject(permission) && permission.default_action === 'block') return 'block'
  const filtered = filterDecision(wishes.filters, sender)
  if (filtered !== 'allow') return filtered
  // Servers must not send room invites from ignored users to clients.
  return ignoredUsersIn(wishes.ignoredUsers).has(sender) ? 'ignore' : 'allow'
}

/** The first list that names the user decides, or else the first that names their server. */
function filterDecision(filters: Json | undefined, sender: UserId): InviteDecision {
  if (!isJsonObject(filters) || filters.enabled === false) return 'allow'
  const names = (list: Json | undefined, text: string) =>
    Array.isArray(list) &&
    list
      .slice(0, patternsMax)
      .some(
        (pattern) =>
          typeof pattern === 'string' &&
          pattern.length <= patternLengthMax &&
          matchesGlob(pattern, text),
      )
  const server = serverNameOf(sender)
  if (names(filters.allowed_users, sender)) return 'allow'
  if (names(filters.ignored_users, sender)) return 'ignore'
  if (names(filters.blocked_users, sender)) return 'block'
  if (names(filters.allowed_servers, server)) return 'allow'
  if (names(filters.ignored_servers, server)) return 'ignore'
  return names(filters.blocked_servers, server) ? 'block' : 'allow'
}
