/**
 * Tells the key of this server's policy server.
 *
 * @module
 */

import { getWellknownPolicy } from '#endpoints/client-server/policy-server.ts'
import { answer } from '#http/endpoint.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Server } from '#server.ts'

export const policyServerRoute = answer(
  getWellknownPolicy,
  async (_, { policyServer }: Pick<Server, 'policyServer'>) => {
    if (policyServer !== undefined) return { public_keys: { ed25519: policyServer.publicKey } }
    throw new MatrixError(404, 'M_NOT_FOUND', 'This server is no policy server.')
  },
)
