/**
 * Shows and changes profiles.
 *
 * @module
 */

import {
  deleteProfileField,
  getProfileField,
  getUserProfile,
  setProfileField,
} from '#endpoints/client-server/profile.ts'
import { answer, type Session } from '#http/endpoint.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Server } from '#server.ts'
import { checkOwnUser } from './own-user.ts'

export const profileRoute = answer(getUserProfile, ({ params }, { users }: Pick<Server, 'users'>) =>
  users.profiles.get(params.userId),
)

export const profileFieldRoute = answer(
  getProfileField,
  async ({ params }, { users }: Pick<Server, 'users'>) => {
    const { userId, keyName } = params
    const profile = await users.profiles.get(userId, keyName)
    const value = Object.hasOwn(profile, keyName) ? profile[keyName] : undefined
    if (value === undefined) {
      throw new MatrixError(404, 'M_NOT_FOUND', 'The profile has no such field.')
    }
    return { [keyName]: value }
  },
)

export const setProfileFieldRoute = answer(
  setProfileField,
  async ({ session, params, body }, { users }: Pick<Server, 'users'>) => {
    checkOwnUser(session, params.userId)
    const { keyName } = params
    checkGuestField(session, keyName)
    const value = Object.hasOwn(body, keyName) ? body[keyName] : undefined
    if (value === undefined) {
      throw new MatrixError(400, 'M_MISSING_PARAM', `'${keyName}' is required.`)
    }
    await users.profiles.set(session.userId, keyName, value)
    return {}
  },
)

export const deleteProfileFieldRoute = answer(
  deleteProfileField,
  async ({ session, params }, { users }: Pick<Server, 'users'>) => {
    checkOwnUser(session, params.userId)
    checkGuestField(session, params.keyName)
    await users.profiles.delete(session.userId, params.keyName)
    return {}
  },
)

/** Guest users may only modify their display name; other profile fields may not be changed. */
function checkGuestField({ guest }: Session, field: string): void {
  if (!guest || field === 'displayname') return
  throw new MatrixError(403, 'M_GUEST_ACCESS_FORBIDDEN', 'Guests may change their name alone.')
}
