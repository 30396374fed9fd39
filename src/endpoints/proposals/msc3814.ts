/**
 * Dehydrated devices, which clients use before they are part of the specification.
 *
 * https://github.com/matrix-org/matrix-spec-proposals/pull/3814
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'
import { deviceKeys, keyName, namedKeys } from '../client-server/definitions/device-keys.ts'

const devicePath = '/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device'
const eventsPath =
  '/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device/{deviceId}/events'

const named = t.object({ device_id: t.string() })
const events = t.array(t.object({ type: t.string(), sender: t.userId, content: t.unknown() }), {
  max: 100,
})

/** `PUT …/dehydrated_device` */
export const putDehydratedDevice = endpoint({
  operationId: 'putDehydratedDevice',
  method: 'PUT',
  path: devicePath,
  auth: 'user',
  body: t.object({
    device_id: keyName,
    initial_device_display_name: t.optional(t.string()),
    device_data: t.jsonObject,
    device_keys: deviceKeys,
    one_time_keys: t.optional(namedKeys),
    fallback_keys: t.optional(namedKeys),
  }),
  // A thousand keys, each with a signature.
  bodyBytesMax: 524_288,
  keepsNumbers: true,
  response: named,
})

/** `GET …/dehydrated_device` */
export const getDehydratedDevice = endpoint({
  operationId: 'getDehydratedDevice',
  method: 'GET',
  path: devicePath,
  auth: 'user',
  response: t.object({ device_id: t.string(), device_data: t.jsonObject }),
})

/** `DELETE …/dehydrated_device` */
export const deleteDehydratedDevice = endpoint({
  operationId: 'deleteDehydratedDevice',
  method: 'DELETE',
  path: devicePath,
  auth: 'user',
  response: named,
})

/** `GET …/dehydrated_device/{deviceId}/events`: `next_batch` is there if there are more. */
export const getDehydratedDeviceEvents = endpoint({
  operationId: 'getDehydratedDeviceEvents',
  method: 'GET',
  path: eventsPath,
  auth: 'user',
  params: { deviceId: keyName },
  query: { from: t.optional(t.string({ max: 100 })) },
  response: t.object({ events, next_batch: t.optional(t.string()) }),
})

/** `POST …/dehydrated_device/{deviceId}/events`, as in earlier drafts: `next_batch` is always there. */
export const postDehydratedDeviceEvents = endpoint({
  operationId: 'postDehydratedDeviceEvents',
  method: 'POST',
  path: eventsPath,
  auth: 'user',
  params: { deviceId: keyName },
  body: t.object({ next_batch: t.optional(t.string({ max: 100 })) }),
  response: t.object({ events, next_batch: t.string() }),
})
