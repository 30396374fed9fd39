/**
 * What users wish of what others send them, in memory: asked for at every event.
 *
 * @module
 */

import { LRUCache } from 'lru-cache'
import type { UserId } from '#protocol/identifiers/ids.ts'
import { type InviteDecision, ignoredUsersIn, inviteDecision } from '#protocol/invite-permission.ts'
import { isJsonObject, type Json } from '#protocol/json.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import {
  type KnownRules,
  noKnownRules,
  type ReadyRules,
  readyRules,
} from '#protocol/push-rules/evaluate.ts'
import { noChanges, readChangedRules, rulesetOf } from '#protocol/push-rules/ruleset.ts'
import { type AccountDataOfUser, accountDataOfUsers } from '#storage/account-data.ts'
import type { Reader } from '#storage/database.ts'
import type { AccountData } from './account-data.ts'

export interface UserWishes {
  /** What they want to be notified of. */
  readonly rules: ReadyRules
  /** Whose events they do not want to see. */
  readonly ignored: ReadonlySet<string>
  /** Whether they want to be invited by somebody. */
  invitesOf(sender: UserId): InviteDecision
}

export interface Wishes {
  of(userId: UserId): Promise<UserWishes>
  /** In the order of the users. */
  ofAll(userIds: readonly UserId[]): Promise<readonly UserWishes[]>
  /** Throws a 403 `M_INVITE_BLOCKED` if a user of ours does not want to be invited by the sender. */
  assertInvitable(userId: UserId, sender: UserId): Promise<void>
}

/** How much is kept, in the bytes of what users changed. A user who changed nothing counts as this. */
const bytesMax = 64 * 1024 * 1024
const bytesOfUser = 1_000

/** The types of account data that matter. */
const types = [
  'm.push_rules',
  'm.ignored_user_list',
  'm.invite_permission_config',
  'org.matrix.msc4155.invite_permission_config',
] as const

export function createWishes({
  db,
  accountData,
}: {
  readonly db: Reader
  readonly accountData: Pick<AccountData, 'onChange'>
}): Wishes {
  const known = noKnownRules()
  const wishes = new LRUCache<UserId, UserWishes>({ maxSize: bytesMax })
  // What is read while something is forgotten may be from before.
  let forgettings = 0
  const read = async (userIds: readonly UserId[]) => {
    const before = forgettings
    const rows = await accountDataOfUsers(db, userIds, types)
    const byUser = Map.groupBy(rows, ({ user_id }) => user_id)
    return userIds.map((userId) => {
      const own = byUser.get(userId) ?? []
      const read = wishesFrom(userId, own, known)
      const size = own.reduce((sum, { content_json }) => sum + content_json.length, bytesOfUser)
      if (before === forgettings && size <= bytesMax) wishes.set(userId, read, { size })
      return read
    })
  }
  const ofAll: Wishes['ofAll'] = async (userIds) => {
    const kept = userIds.map((userId) => wishes.get(userId))
    const missing = userIds.filter((_, place) => kept[place] === undefined)
    const found = missing.length === 0 ? [] : await read(missing)
    let next = 0
    return kept.map((one) => one ?? (found[next++] as UserWishes))
  }
  const of: Wishes['of'] = async (userId) =>
    wishes.get(userId) ?? ((await read([userId]))[0] as UserWishes)
  accountData.onChange((userId) => {
    forgettings += 1
    wishes.delete(userId)
  })
  return {
    of,
    ofAll,
    assertInvitable: async (userId, sender) => {
      if ((await of(userId)).invitesOf(sender) !== 'block') return
      throw new MatrixError(403, 'M_INVITE_BLOCKED', `${userId} does not want to be invited.`)
    },
  }
}

function wishesFrom(
  userId: UserId,
  rows: readonly AccountDataOfUser[],
  known: KnownRules,
): UserWishes {
  const contentOf = (wanted: (typeof types)[number]): Json => {
    const row = rows.find(({ type }) => type === wanted)
    return row === undefined ? null : JSON.parse(row.content_json)
  }
  const stored = contentOf('m.push_rules')
  const changed = isJsonObject(stored) ? readChangedRules(stored) : noChanges
  const invites = {
    ignoredUsers: contentOf('m.ignored_user_list'),
    permission: contentOf('m.invite_permission_config'),
    filters: contentOf('org.matrix.msc4155.invite_permission_config'),
  }
  return {
    rules: readyRules(rulesetOf(userId, changed), userId, known),
    ignored: ignoredUsersIn(invites.ignoredUsers),
    invitesOf: (sender) => inviteDecision(invites, sender),
  }
}
