/**
 * Tokens that an administrator gives to those who may register.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#token-authenticated-registration
 *
 * @module
 */

import type { Clock } from '#io/clock.ts'
import type { Random } from '#io/random.ts'
import type { Database } from '#storage/database.ts'
import {
  addRegistrationToken,
  deleteRegistrationToken,
  registrationToken,
} from '#storage/registration-tokens.ts'
import { randomWord } from './tokens.ts'

export interface RegistrationTokens {
  create(limits: {
    /** Made up if it is absent. */
    readonly token?: string | undefined
    readonly usesAllowed?: number | undefined
    readonly expiresTs?: number | undefined
  }): Promise<string>
  /** Whether an account may be made with it at this moment. */
  isValid(token: string): Promise<boolean>
  delete(token: string): Promise<void>
}

export function createRegistrationTokens(needs: {
  readonly db: Database
  readonly clock: Clock
  readonly random: Random
}): RegistrationTokens {
  const { db, clock, random } = needs
  return {
    create: async ({ token = randomWord(random, 16), usesAllowed, expiresTs }) => {
      const limits = { uses_allowed: usesAllowed ?? null, expires_ts: expiresTs ?? null }
      await db.write((tx) => addRegistrationToken(tx, { token, uses: 0, ...limits }))
      return token
    },
    isValid: async (token) => {
      // The grammar of tokens: [A-Za-z0-9._~-], at most 64 characters.
      if (!/^[\w.~-]{1,64}$/.test(token)) return false
      const row = await registrationToken(db, token)
      if (row === undefined) return false
      const isUsedUp = row.uses_allowed !== null && row.uses >= row.uses_allowed
      return !isUsedUp && (row.expires_ts === null || row.expires_ts > clock.now())
    },
    delete: (token) => db.write((tx) => deleteRegistrationToken(tx, token)),
  }
}
