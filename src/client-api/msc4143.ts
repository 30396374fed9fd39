/**
 * Tells clients where calls are carried.
 *
 * @module
 */

import { getRtcTransports } from '#endpoints/proposals/msc4143.ts'
import { answer } from '#http/endpoint.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Server } from '#server.ts'

export const rtcTransportsRoute = answer(
  getRtcTransports,
  async (_, { livekitServiceUrls }: Pick<Server, 'livekitServiceUrls'>) => {
    // Where nothing carries calls, clients look elsewhere only if there is no such endpoint.
    if (livekitServiceUrls.length === 0) {
      throw new MatrixError(
        404,
        'M_UNRECOGNIZED',
        'This server knows of nothing that carries calls.',
      )
    }
    const rtc_transports = livekitServiceUrls.map((livekit_service_url) => ({
      type: 'livekit',
      livekit_service_url,
    }))
    return { rtc_transports }
  },
)
