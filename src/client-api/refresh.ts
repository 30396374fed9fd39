/**
 * Gives a new access token for a refresh token.
 *
 * @module
 */

import { refresh } from '#endpoints/client-server/refresh.ts'
import { answer } from '#http/endpoint.ts'
import type { Server } from '#server.ts'

export const refreshRoute = answer(refresh, ({ body }, { users }: Pick<Server, 'users'>) =>
  users.sessions.refresh(body.refresh_token),
)
