/**
 * Says which addresses users have. This server sends neither e-mail nor text messages, so that no address
 * can be shown to be somebody's: there are none.
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
import { answer } from '#http/endpoint.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Server } from '#server.ts'
import { unbind } from './binding.ts'
import { proveIdentity } from './prove-identity.ts'

/** The homeserver does not support adding addresses of this medium. */
async function notSupported(): Promise<never> {
  const message = 'This server sends neither e-mail nor text messages.'
  throw new MatrixError(400, 'M_THREEPID_MEDIUM_NOT_SUPPORTED', message)
}

/** No account has this address. */
async function nobodys(): Promise<never> {
  const message = 'No account has this address: passwords are reset by administrators.'
  throw new MatrixError(400, 'M_THREEPID_NOT_FOUND', message)
}

/** The server could not validate the credentials: it has given none. */
function notValidated(): MatrixError {
  return new MatrixError(
    403,
    'M_THREEPID_AUTH_FAILED',
    'This server has validated no such address.',
  )
}

export const administrativeContactRoutes = [
  answer(getAccount3PIDs, async () => ({ threepids: [] })),
  answer(post3PIDs, async () => {
    throw notValidated()
  }),
  answer(add3PID, async ({ session, body }, { users }: Pick<Server, 'users'>) => {
    await proveIdentity(users, session, { operation: 'add3pid', auth: body.auth })
    throw notValidated()
  }),
  answer(
    delete3pidFromAccount,
    async ({ body, session }, needs: Pick<Server, 'identityServers' | 'users'>) => {
      const asked = { ...body, server: body.id_server }
      return { id_server_unbind_result: await unbind(needs, session.userId, asked) }
    },
  ),
  answer(requestTokenTo3PIDEmail, notSupported),
  answer(requestTokenTo3PIDMSISDN, notSupported),
  answer(requestTokenToRegisterEmail, notSupported),
  answer(requestTokenToRegisterMSISDN, notSupported),
  answer(requestTokenToResetPasswordEmail, nobodys),
  answer(requestTokenToResetPasswordMSISDN, nobodys),
]
