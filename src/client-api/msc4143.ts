/**
 * Tells clients where calls are carried.
 *
 * @module
 */

import { getRtcTransports, getRtcTransportsUnstable } from '#endpoints/proposals/msc4143.ts'
import { answer } from '#http/endpoint.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Server } from '#server.ts'

type Needs = Pick<Server, 'livekitServiceUrls'>

export const rtcTransportsRoutes = [
  answer(getRtcTransports, async (_, needs: Needs) => transports(needs)),
  answer(getRtcTransportsUnstable, async (_, needs: Needs) => transports(needs)),
]

function transports({ livekitServiceUrls }: Needs) {
  // Where nothing carries calls, clients look elsewhere only if there is no such endpoint.
  if (livekitServiceUrls.length === 0) {
    throw new MatrixError(404, 'M_UNRECOGNIZED', 'This server knows of nothing that carries calls.')
  }
  const rtc_transports = livekitServiceUrls.map((livekit_service_url) => ({
    type: 'livekit',
    livekit_service_url,
  }))
  return { rtc_transports }
}
