/**
 * Where clients find this server by its name.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#well-known-uris
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `GET /.well-known/matrix/client` */
export const getWellknown = endpoint({
  operationId: 'getWellknown',
  method: 'GET',
  path: '/.well-known/matrix/client',
  auth: 'none',
  response: t.object({
    'm.homeserver': t.object({ base_url: t.string() }),
    // Where clients look that do not ask at the path of the proposal.
    'org.matrix.msc4143.rtc_foci': t.optional(
      t.array(t.object({ type: t.string(), livekit_service_url: t.string() })),
    ),
  }),
})
