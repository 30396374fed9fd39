/**
 * Tokens by which a user who is logged in lets another client log in as them. Each is good once and
 * for two minutes; a restart ends them all.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#token-based-user-login
 *
 * @module
 */

import { LRUCache } from 'lru-cache'
import type { Clock } from '#io/clock.ts'
import type { Random } from '#io/random.ts'
import type { UserId } from '#protocol/identifiers/ids.ts'
import { hashOf, isToken, makeToken } from './tokens.ts'

const tokensMax = 10_000

/** 120,000 (2 minutes) is recommended as a default. */
export const loginTokenMs = 120_000

export interface LoginTokens {
  create(userId: UserId): string
  /** Whose token it is; it is used up by asking. */
  take(token: string): UserId | undefined
  /** Ends all tokens of a user: who ends all their sessions wants no new one of before. */
  forget(userId: UserId): void
}

export function createLoginTokens(needs: {
  readonly clock: Clock
  readonly random: Random
}): LoginTokens {
  const { clock, random } = needs
  const tokens = new LRUCache<string, { userId: UserId; endMs: number }>({
    maxSize: tokensMax,
    sizeCalculation: () => 1,
  })
  return {
    create: (userId) => {
      const token = makeToken(random, 'login')
      tokens.set(hashOf(token), { userId, endMs: clock.monotonicMs() + loginTokenMs })
      return token
    },
    take: (token) => {
      if (!isToken('login', token)) return undefined
      const found = tokens.get(hashOf(token))
      tokens.delete(hashOf(token))
      return found && found.endMs > clock.monotonicMs() ? found.userId : undefined
    },
    forget: (userId) => {
      for (const [hash, token] of [...tokens.entries()]) {
        if (token.userId === userId) tokens.delete(hash)
      }
    },
  }
}
