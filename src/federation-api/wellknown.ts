/**
 * Tells where this server's federation is to be found, if not where its name says.
 *
 * @module
 */

import { getWellKnown } from '#endpoints/server-server/wellknown.ts'
import { answer } from '#http/endpoint.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Server } from '#server.ts'

export const wellKnownRoute = answer(
  getWellKnown,
  async (_, { federationAddress }: Pick<Server, 'federationAddress'>) => {
    if (federationAddress !== undefined) return { 'm.server': federationAddress }
    throw new MatrixError(404, 'M_NOT_FOUND', 'This server delegates its federation to nobody.')
  },
)
