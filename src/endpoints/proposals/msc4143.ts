/**
 * Where calls are carried, which clients ask before it is part of the specification.
 *
 * https://github.com/matrix-org/matrix-spec-proposals/pull/4143
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `GET …/rtc/transports` */
export const getRtcTransports = endpoint({
  operationId: 'getRtcTransports',
  method: 'GET',
  path: '/_matrix/client/unstable/org.matrix.msc4143/rtc/transports',
  auth: 'user',
  guests: true,
  response: t.object({
    rtc_transports: t.array(t.object({ type: t.string(), livekit_service_url: t.string() })),
  }),
})
