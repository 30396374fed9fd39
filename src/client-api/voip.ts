/**
 * Gives credentials for TURN servers.
 *
 * @module
 */

import { createHmac } from 'node:crypto'
import { getTurnServer } from '#endpoints/client-server/voip.ts'
import { answer } from '#http/endpoint.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Server } from '#server.ts'

export const turnServerRoute = answer(
  getTurnServer,
  async ({ session: { userId } }, { turn, clock }: Pick<Server, 'clock' | 'turn'>) => {
    if (turn === undefined) {
      throw new MatrixError(404, 'M_NOT_FOUND', 'This server has no TURN server.')
    }
    const { uris, sharedSecret, ttlSeconds: ttl } = turn
    // The name says until when it is good, and the password proves that it is from us: what TURN
    // servers know as the REST API for their access.
    const username = `${Math.floor(clock.now() / 1000) + ttl}:${userId}`
    const password = createHmac('sha1', sharedSecret).update(username).digest('base64')
    return { username, password, uris, ttl }
  },
)
