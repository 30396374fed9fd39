/**
 * Where calls are carried, which clients ask before it is part of the specification.
 *
 * https://github.com/matrix-org/matrix-spec-proposals/pull/4143
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

const response = t.object({
  rtc_transports: t.array(t.object({ type: t.string(), livekit_service_url: t.string() })),
})

/** `GET …/rtc/transports` */
export const getRtcTransports = endpoint({
  operationId: 'getRtcTransports',
  method: 'GET',
  path: '/_matrix/client/v1/rtc/transports',
  auth: 'user',
  guests: true,
  response,
})

/** The same, as long as it is no part of the specification. */
export const getRtcTransportsUnstable = endpoint({
  operationId: 'getRtcTransportsUnstable',
  method: 'GET',
  path: '/_matrix/client/unstable/org.matrix.msc4143/rtc/transports',
  auth: 'user',
  guests: true,
  response,
})
