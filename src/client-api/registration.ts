/**
 * Makes accounts for whoever may have one.
 *
 * @module
 */

import { checkUsernameAvailability, register } from '#endpoints/client-server/registration.ts'
import { answer, type RequestOf } from '#http/endpoint.ts'
import type { JsonObject } from '#protocol/json.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Server } from '#server.ts'
import type { ShownAddress } from '#users/addresses.ts'
import type { Stage } from '#users/interactive-auth.ts'
import type { Users } from '#users/users.ts'
import { shownAddress } from './address-stage.ts'

export const registerRoute = answer(
  register,
  async ({ query, body }, { users }: Pick<Server, 'users'>) => {
    if (query.kind === 'guest') return await registerGuest(users, body)
    if (!users.registration.enabled) {
      throw new MatrixError(403, 'M_FORBIDDEN', 'Registration is disabled.')
    }
    // Homeservers MUST perform the relevant checks and return these codes before performing
    // User-Interactive Authentication.
    if (body.username !== undefined) await users.accounts.checkUsername(body.username)
    const { registrationToken, address } = await authorise(users, body.auth)
    if (body.password === undefined) {
      throw new MatrixError(400, 'M_MISSING_PARAM', "'password' is required.")
    }
    const { userId, issued } = await users.accounts.register({
      username: body.username,
      password: body.password,
      registrationToken,
      alongside: address && ((tx, userId) => users.addresses.addIn(tx, userId, address)),
      device: body.inhibit_login ? undefined : deviceOf(body),
    })
    return { user_id: userId, ...issued }
  },
)

export const usernameAvailabilityRoute = answer(
  checkUsernameAvailability,
  async ({ query }, { users }: Pick<Server, 'users'>) => {
    await users.accounts.checkUsername(query.username)
    return { available: true }
  },
)

/** What a client has shown to be allowed to make an account. */
interface Shown {
  readonly registrationToken?: string | undefined
  readonly address?: ShownAddress | undefined
}

/** Returns once the client has proved all that is asked for, with its token and its address if any. */
async function authorise(users: Users, auth: JsonObject | undefined): Promise<Shown> {
  const { tokens, email } = users.registration
  const stages: Stage[] = [
    ...(tokens ? (['m.login.registration_token'] as const) : []),
    ...(email ? (['m.login.email.identity'] as const) : []),
  ]
  return await users.interactiveAuth.complete<Shown>({
    operation: 'register',
    flows: [stages.length === 0 ? ['m.login.dummy'] : stages],
    auth,
    checkStage: async (checked, given): Promise<Shown> => {
      if (checked === 'm.login.email.identity') {
        return { address: await shownAddress(users, 'register', given) }
      }
      if (checked !== 'm.login.registration_token') return {}
      const { token } = given
      if (typeof token !== 'string' || !(await users.registrationTokens.isValid(token))) {
        throw new MatrixError(401, 'M_UNAUTHORIZED', 'The registration token is not valid.')
      }
      return { registrationToken: token }
    },
  })
}

async function registerGuest(users: Users, body: RequestOf<typeof register>['body']) {
  if (!users.registration.guests) {
    throw new MatrixError(403, 'M_FORBIDDEN', 'Guests are not let in.')
  }
  // All parameters with the exception of initial_device_display_name MUST BE ignored. The server MUST
  // pick a device_id for the account regardless of input.
  const device = { displayName: body.initial_device_display_name }
  const { userId, issued } = await users.accounts.register({ guest: true, device })
  return { user_id: userId, ...issued }
}

/** The device that asks, in the words of the sessions. */
function deviceOf(body: RequestOf<typeof register>['body']) {
  return {
    deviceId: body.device_id,
    displayName: body.initial_device_display_name,
    refreshable: body.refresh_token,
  }
}
