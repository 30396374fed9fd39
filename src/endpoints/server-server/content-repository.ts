/**
 * Content for other servers, as `multipart/mixed` of two parts.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#content-repository
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'
import { thumbnailQuery, waiting } from '../client-server/definitions/media.ts'

/** `GET /_matrix/federation/v1/media/download/{mediaId}` */
export const getContent = endpoint({
  operationId: 'getContent',
  method: 'GET',
  path: '/_matrix/federation/v1/media/download/{mediaId}',
  auth: 'server',
  params: { mediaId: t.mediaId },
  query: waiting,
  response: t.json,
})

/** `GET /_matrix/federation/v1/media/thumbnail/{mediaId}` */
export const getContentThumbnail = endpoint({
  operationId: 'getContentThumbnail',
  method: 'GET',
  path: '/_matrix/federation/v1/media/thumbnail/{mediaId}',
  auth: 'server',
  params: { mediaId: t.mediaId },
  query: thumbnailQuery,
  response: t.json,
})
