/**
 * Many operations name the user in their path though it can only be the one who asks.
 *
 * @module
 */

import type { Session } from '#http/endpoint.ts'
import type { UserId } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'

export function checkOwnUser(session: Session, userId: UserId): void {
  if (session.userId === userId) return
  throw new MatrixError(403, 'M_FORBIDDEN', 'You may do this for your own user only.')
}
