/**
 * What users want to be notified of, in memory: asked for at every event.
 *
 * @module
 */

import { LRUCache } from 'lru-cache'
import type { UserId } from '#protocol/identifiers/ids.ts'
import { isJsonObject, type Json } from '#protocol/json.ts'
import { type KnownRules, type ReadyRules, readyRules } from '#protocol/push-rules/evaluate.ts'
import { noChanges, readChangedRules, rulesetOf } from '#protocol/push-rules/ruleset.ts'
import { type AccountDataOfUser, accountDataOfUsers } from '#storage/account-data.ts'
import type { Reader } from '#storage/database.ts'

/** How a user is notified. */
export interface Wishes {
  readonly rules: ReadyRules
  /** Whose events they do not see. */
  readonly ignored: ReadonlySet<string>
}

export interface Recipients {
  wishesOf(userIds: readonly UserId[]): Promise<ReadonlyMap<UserId, Wishes>>
  /** Forgets what is known of a user, after it has changed. */
  forget(userId: UserId): void
}

/** How much is kept, in the bytes of what users changed. A user who changed nothing counts as this. */
const bytesMax = 64 * 1024 * 1024
const bytesOfUser = 1_000

/** The types of account data that matter. */
const types = ['m.push_rules', 'm.ignored_user_list'] as const

export function createRecipients({ db }: { readonly db: Reader }): Recipients {
  const known: KnownRules = new Map()
  const wishes = new LRUCache<UserId, Wishes>({ maxSize: bytesMax })
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
      return [userId, read] as const
    })
  }
  return {
    wishesOf: async (userIds) => {
      const found = new Map<UserId, Wishes>()
      const missing: UserId[] = []
      for (const userId of userIds) {
        const kept = wishes.get(userId)
        if (kept === undefined) missing.push(userId)
        else found.set(userId, kept)
      }
      if (missing.length === 0) return found
      for (const [userId, one] of await read(missing)) found.set(userId, one)
      return found
    },
    forget: (userId) => {
      forgettings += 1
      wishes.delete(userId)
    },
  }
}

function wishesFrom(userId: UserId, rows: readonly AccountDataOfUser[], known: KnownRules): Wishes {
  const contentOf = (wanted: (typeof types)[number]): Json => {
    const row = rows.find(({ type }) => type === wanted)
    return row === undefined ? null : JSON.parse(row.content_json)
  }
  const stored = contentOf('m.push_rules')
  const changed = isJsonObject(stored) ? readChangedRules(stored) : noChanges
  return {
    rules: readyRules(rulesetOf(userId, changed), known),
    ignored: ignoredUsersIn(contentOf('m.ignored_user_list')),
  }
}

/** Whom `m.ignored_user_list` names. */
function ignoredUsersIn(content: Json | undefined): ReadonlySet<string> {
  const users = isJsonObject(content) ? content.ignored_users : undefined
  return new Set(isJsonObject(users) ? Object.keys(users) : [])
}
