/**
 * What whoever uses a locked account is answered.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#account-locking
 *
 * @module
 */

import { MatrixError } from './matrix-error.ts'

/** Servers MUST return a 401 response with an M_USER_LOCKED error code and soft_logout set to true. */
export function accountLocked(): MatrixError {
  const extra = { soft_logout: true }
  return new MatrixError(401, 'M_USER_LOCKED', 'This account has been locked.', { extra })
}
