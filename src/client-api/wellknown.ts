/**
 * Tells clients where this server is.
 *
 * @module
 */

import { getWellknown } from '#endpoints/client-server/wellknown.ts'
import { answer } from '#http/endpoint.ts'
import type { Server } from '#server.ts'

export const wellknownRoute = answer(
  getWellknown,
  async (_, { publicBaseUrl }: Pick<Server, 'publicBaseUrl'>) => ({
    'm.homeserver': { base_url: publicBaseUrl },
  }),
)
