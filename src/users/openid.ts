/**
 * Tokens by which users show services of others who they are, and that are good for nothing else.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#openid
 *
 * @module
 */

import type { Clock } from '#io/clock.ts'
import type { Random } from '#io/random.ts'
import type { UserId } from '#protocol/identifiers/ids.ts'
import type { Database } from '#storage/database.ts'
import { addOpenIdToken, openIdUser } from '#storage/openid-tokens.ts'
import type { Accounts } from './accounts.ts'
import { hashOf, isToken, makeToken } from './tokens.ts'

/** How long a token is good; that of the spec's example. */
export const openIdTokenMs = 3_600_000

export interface OpenId {
  create(userId: UserId): Promise<string>
  /** Whose token it is; `undefined` if it is none, has ended, or the account is closed or locked. */
  userOf(token: string): Promise<UserId | undefined>
}

export function createOpenId(needs: {
  readonly db: Database
  readonly clock: Clock
  readonly random: Random
  readonly accounts: Pick<Accounts, 'account'>
}): OpenId {
  const { db, clock, random, accounts } = needs
  return {
    create: async (userId) => {
      const token = makeToken(random, 'openid')
      const now = clock.now()
      const row = { hash: hashOf(token), userId, expiresTs: now + openIdTokenMs }
      await db.write((tx) => addOpenIdToken(tx, row, now))
      return token
    },
    userOf: async (token) => {
      if (!isToken('openid', token)) return undefined
      const userId = await openIdUser(db, hashOf(token), clock.now())
      const account = userId && (await accounts.account(userId))
      const isOpen = account?.deactivatedTs === undefined && account?.locked === false
      return isOpen ? userId : undefined
    },
  }
}
