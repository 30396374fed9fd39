/**
 * The stage of user-interactive authentication in which an address is shown to be somebody's.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#email-based-identity--homeserver
 *
 * @module
 */

import { isJsonObject, type JsonObject } from '#protocol/json.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { AddressPurpose, ShownAddress } from '#users/addresses.ts'
import type { Users } from '#users/users.ts'

/** The address that the credentials of a stage have shown. Throws a `MatrixError`. */
export async function shownAddress(
  { addresses }: Pick<Users, 'addresses'>,
  purpose: AddressPurpose,
  { threepid_creds: credentials }: JsonObject,
): Promise<ShownAddress> {
  const { sid, client_secret: clientSecret } = isJsonObject(credentials) ? credentials : {}
  if (typeof sid === 'string' && typeof clientSecret === 'string') {
    return await addresses.shown({ sid, clientSecret, purpose })
  }
  const message = "'threepid_creds' needs a 'sid' and a 'client_secret'."
  throw new MatrixError(400, 'M_MISSING_PARAM', message)
}
