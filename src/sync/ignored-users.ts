/**
 * Whom a user does not want to hear from.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#ignoring-users
 *
 * @module
 */

import type { UserId } from '#protocol/identifiers/ids.ts'
import { parseUserId } from '#protocol/identifiers/user-id.ts'
import { isJsonObject } from '#protocol/json.ts'
import { accountDataOf } from '#storage/account-data.ts'
import type { Reader } from '#storage/database.ts'

/** The users in `m.ignored_user_list`. Nobody ignores themselves. */
export async function ignoredUsers(db: Reader, userId: UserId): Promise<UserId[]> {
  const row = await accountDataOf(db, userId, '', 'm.ignored_user_list')
  const content: unknown = row && JSON.parse(row.content_json)
  const list = isJsonObject(content) ? content.ignored_users : undefined
  if (!isJsonObject(list)) return []
  return Object.keys(list).flatMap((key) => {
    const ignored = parseUserId(key)
    return ignored === undefined || ignored === userId ? [] : [ignored]
  })
}
