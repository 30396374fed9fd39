/**
 * Tells whether a registration token would be taken.
 *
 * @module
 */

import { registrationTokenValidity } from '#endpoints/client-server/registration-tokens.ts'
import { answer } from '#http/endpoint.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Server } from '#server.ts'

export const registrationTokenValidityRoute = answer(
  registrationTokenValidity,
  async ({ query }, { users }: Pick<Server, 'users'>) => {
    if (!users.registration.enabled) {
      throw new MatrixError(403, 'M_FORBIDDEN', 'Registration is disabled.')
    }
    return { valid: await users.registrationTokens.isValid(query.token) }
  },
)
