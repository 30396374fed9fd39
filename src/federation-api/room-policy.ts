/**
 * Signs events for rooms of which this server is the policy server.
 *
 * @module
 */

import { askPolicyServerToSign } from '#endpoints/server-server/room-policy.ts'
import { answer } from '#http/endpoint.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Server } from '#server.ts'

export const signRoute = answer(
  askPolicyServerToSign,
  async ({ origin, rawBody }, { policyServer }: Pick<Server, 'policyServer'>) => {
    // M_UNRECOGNIZED: the server is not a Policy Server.
    if (policyServer === undefined) {
      throw new MatrixError(404, 'M_UNRECOGNIZED', 'This server is no policy server.')
    }
    return await policyServer.sign(origin, rawBody)
  },
)
