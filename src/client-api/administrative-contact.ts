/**
 * Says which addresses users have, and lets them show that one is theirs. This server sends no text
 * messages, so that there are no telephone numbers.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#adding-account-administrative-contact-information
 *
 * @module
 */

import {
  add3PID,
  delete3pidFromAccount,
  getAccount3PIDs,
  post3PIDs,
  requestTokenTo3PIDEmail,
  requestTokenTo3PIDMSISDN,
} from '#endpoints/client-server/administrative-contact.ts'
import {
  requestTokenToResetPasswordEmail,
  requestTokenToResetPasswordMSISDN,
} from '#endpoints/client-server/password-management.ts'
import {
  requestTokenToRegisterEmail,
  requestTokenToRegisterMSISDN,
} from '#endpoints/client-server/registration.ts'
import { answer, type RequestOf } from '#http/endpoint.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Server } from '#server.ts'
import type { AddressPurpose } from '#users/addresses.ts'
import { unbind } from './binding.ts'
import { proveIdentity } from './prove-identity.ts'

type Needs = Pick<Server, 'users'>

/** The homeserver does not support adding addresses of this medium. */
async function notSupported(): Promise<never> {
  const message = 'This server sends no text messages.'
  throw new MatrixError(400, 'M_THREEPID_MEDIUM_NOT_SUPPORTED', message)
}

/** No account has this address. */
async function nobodys(): Promise<never> {
  throw new MatrixError(400, 'M_THREEPID_NOT_FOUND', 'No account has this address.')
}

function sendMail(purpose: AddressPurpose) {
  return async (
    { body }: Pick<RequestOf<typeof requestTokenTo3PIDEmail>, 'body'>,
    { users }: Needs,
  ) => {
    const { email, client_secret: clientSecret, send_attempt: sendAttempt } = body
    // If no mail can be sent, no account has an address.
    if (purpose === 'password' && !users.addresses.canSend) return await nobodys()
    const request = { purpose, email, clientSecret, sendAttempt, nextLink: body.next_link }
    return { sid: await users.addresses.sendMail(request) }
  }
}

export const administrativeContactRoutes = [
  answer(getAccount3PIDs, async ({ session }, { users }: Needs) => ({
    threepids: (await users.addresses.of(session.userId)).map((row) => ({
      medium: 'email' as const,
      address: row.address,
      validated_at: row.validated_ts,
      added_at: row.added_ts,
    })),
  })),
  // The credentials are those of an identity server, which has no say in who has an account here.
  answer(post3PIDs, async () => {
    const message = 'This server believes no identity server. Use /account/3pid/add.'
    throw new MatrixError(403, 'M_THREEPID_AUTH_FAILED', message)
  }),
  answer(add3PID, async ({ session, body }, { users }: Needs) => {
    await proveIdentity(users, session, { operation: 'add3pid', auth: body.auth })
    const { sid, client_secret: clientSecret } = body
    const shown = await users.addresses.shown({ sid, clientSecret, purpose: 'add' })
    await users.addresses.add(session.userId, shown)
    return {}
  }),
  answer(
    delete3pidFromAccount,
    async ({ body, session: { userId } }, needs: Pick<Server, 'identityServers' | 'users'>) => {
      if (body.medium === 'email') await needs.users.addresses.delete(userId, body.address)
      const asked = { ...body, server: body.id_server }
      return { id_server_unbind_result: await unbind(needs, userId, asked) }
    },
  ),
  answer(requestTokenTo3PIDEmail, sendMail('add')),
  answer(requestTokenToRegisterEmail, sendMail('register')),
  answer(requestTokenToResetPasswordEmail, sendMail('password')),
  answer(requestTokenTo3PIDMSISDN, notSupported),
  answer(requestTokenToRegisterMSISDN, notSupported),
  answer(requestTokenToResetPasswordMSISDN, nobodys),
]
