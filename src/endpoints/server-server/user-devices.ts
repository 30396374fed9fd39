/**
 * The devices of a user of the server that is asked.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#device-management
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `GET /_matrix/federation/v1/user/devices/{userId}` */
export const getUserDevices = endpoint({
  operationId: 'getUserDevices',
  method: 'GET',
  path: '/_matrix/federation/v1/user/devices/{userId}',
  auth: 'server',
  params: { userId: t.userId },
  response: t.object({
    user_id: t.userId,
    stream_id: t.integer(),
    // What is malformed of these is left out by whoever asked: Synapse leaves out keys that a device
    // does not have, and writes `null` for keys that a user does not have.
    devices: t.array(t.jsonObject, { max: 10_000 }),
    master_key: t.optional(t.json),
    self_signing_key: t.optional(t.json),
  }),
})
