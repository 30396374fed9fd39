/**
 * Makes accounts for whoever knows the shared secret.
 *
 * @module
 */

import {
  getHansaRegisterNonce,
  getRegisterNonce,
  hansaRegisterWithSecret,
  registerWithSecret,
} from '#endpoints/admin/register.ts'
import { answer, type RequestOf, type ResponseOf, type Route } from '#http/endpoint.ts'
import type { Server } from '#server.ts'

type Needs = Pick<Server, 'users' | 'serverName'>

async function nonce(_: unknown, { users }: Needs): Promise<{ nonce: string }> {
  return { nonce: users.sharedSecret.nonce() }
}

async function register(
  { body }: Pick<RequestOf<typeof registerWithSecret>, 'body'>,
  { users, serverName }: Needs,
): Promise<ResponseOf<typeof registerWithSecret>> {
  const { nonce, username, password, admin = false, user_type: userType, mac } = body
  users.sharedSecret.check({ nonce, username, password, admin, userType, mac })
  const { userId, issued } = await users.accounts.register({
    username,
    password,
    admin,
    displayName: body.displayname,
    device: body.inhibit_login ? undefined : {},
  })
  return { user_id: userId, home_server: serverName, ...issued }
}

export const registerRoutes: readonly Route<Needs>[] = [
  answer(getRegisterNonce, nonce),
  answer(registerWithSecret, register),
  answer(getHansaRegisterNonce, nonce),
  answer(hansaRegisterWithSecret, register),
]
