/**
 * A user's own devices.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#device-management
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'
import { authData } from './definitions/auth-data.ts'

const deviceId = t.string({ min: 1, max: 255 })

const clientDevice = t.object({
  device_id: t.string(),
  display_name: t.optional(t.string()),
  last_seen_ip: t.optional(t.string()),
  last_seen_ts: t.optional(t.timestamp),
})

/** `GET /_matrix/client/v3/devices` */
export const getDevices = endpoint({
  operationId: 'getDevices',
  method: 'GET',
  path: '/_matrix/client/v3/devices',
  auth: 'user',
  guests: true,
  response: t.object({ devices: t.array(clientDevice) }),
})

/** `GET /_matrix/client/v3/devices/{deviceId}` */
export const getDevice = endpoint({
  operationId: 'getDevice',
  method: 'GET',
  path: '/_matrix/client/v3/devices/{deviceId}',
  auth: 'user',
  guests: true,
  params: { deviceId },
  response: clientDevice,
})

/** `PUT /_matrix/client/v3/devices/{deviceId}` */
export const updateDevice = endpoint({
  operationId: 'updateDevice',
  method: 'PUT',
  path: '/_matrix/client/v3/devices/{deviceId}',
  auth: 'user',
  guests: true,
  params: { deviceId },
  body: t.object({ display_name: t.optional(t.string()) }),
  response: t.object({}),
})

/** `DELETE /_matrix/client/v3/devices/{deviceId}` */
export const deleteDevice = endpoint({
  operationId: 'deleteDevice',
  method: 'DELETE',
  path: '/_matrix/client/v3/devices/{deviceId}',
  auth: 'user',
  params: { deviceId },
  body: t.object({ auth: t.optional(authData) }),
  response: t.object({}),
})

/** `POST /_matrix/client/v3/delete_devices` */
export const deleteDevices = endpoint({
  operationId: 'deleteDevices',
  method: 'POST',
  path: '/_matrix/client/v3/delete_devices',
  auth: 'user',
  body: t.object({ devices: t.array(deviceId), auth: t.optional(authData) }),
  response: t.object({}),
})
