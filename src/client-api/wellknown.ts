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
  async (_, needs: Pick<Server, 'livekitServiceUrls' | 'publicBaseUrl'>) => {
    const foci = needs.livekitServiceUrls.map((url) => ({
      type: 'livekit',
      livekit_service_url: url,
    }))
    return {
      'm.homeserver': { base_url: needs.publicBaseUrl },
      ...(foci.length > 0 && { 'org.matrix.msc4143.rtc_foci': foci }),
    }
  },
)
