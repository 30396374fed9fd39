/**
 * What lies beyond bridges: protocols, and places and people in them.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#third-party-networks
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

const common = { method: 'GET', auth: 'user' } as const
const params = { protocol: t.string({ min: 1, max: 255 }) }
const place = t.object({ alias: t.string(), protocol: t.string(), fields: t.jsonObject })
const person = t.object({ userid: t.userId, protocol: t.string(), fields: t.jsonObject })

/** `GET /_matrix/client/v3/thirdparty/protocols` */
export const getProtocols = endpoint({
  ...common,
  operationId: 'getProtocols',
  path: '/_matrix/client/v3/thirdparty/protocols',
  response: t.record(t.jsonObject),
})

/** `GET /_matrix/client/v3/thirdparty/protocol/{protocol}` */
export const getProtocolMetadata = endpoint({
  ...common,
  operationId: 'getProtocolMetadata',
  path: '/_matrix/client/v3/thirdparty/protocol/{protocol}',
  params,
  response: t.jsonObject,
})

/** `GET /_matrix/client/v3/thirdparty/location/{protocol}` */
export const queryLocationByProtocol = endpoint({
  ...common,
  operationId: 'queryLocationByProtocol',
  path: '/_matrix/client/v3/thirdparty/location/{protocol}',
  params,
  query: { fields: t.optional(t.string()) },
  response: t.array(place),
})

/** `GET /_matrix/client/v3/thirdparty/user/{protocol}` */
export const queryUserByProtocol = endpoint({
  ...common,
  operationId: 'queryUserByProtocol',
  path: '/_matrix/client/v3/thirdparty/user/{protocol}',
  params,
  query: { fields: t.optional(t.string()) },
  response: t.array(person),
})

/** `GET /_matrix/client/v3/thirdparty/location` */
export const queryLocationByAlias = endpoint({
  ...common,
  operationId: 'queryLocationByAlias',
  path: '/_matrix/client/v3/thirdparty/location',
  query: { alias: t.string({ max: 255 }) },
  response: t.array(place),
})

/** `GET /_matrix/client/v3/thirdparty/user` */
export const queryUserByID = endpoint({
  ...common,
  operationId: 'queryUserByID',
  path: '/_matrix/client/v3/thirdparty/user',
  query: { userid: t.string({ max: 255 }) },
  response: t.array(person),
})
