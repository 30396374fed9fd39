/**
 * Content for who is logged in.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mediadownloadservernamemediaid
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'
import {
  mediaConfig,
  mediaParams,
  preview,
  previewQuery,
  thumbnailQuery,
  waiting,
} from './definitions/media.ts'

/** `GET /_matrix/client/v1/media/download/{serverName}/{mediaId}` */
export const getContentAuthed = endpoint({
  operationId: 'getContentAuthed',
  method: 'GET',
  path: '/_matrix/client/v1/media/download/{serverName}/{mediaId}',
  auth: 'user',
  guests: true,
  params: mediaParams,
  query: waiting,
  response: t.json,
})

/** `GET /_matrix/client/v1/media/download/{serverName}/{mediaId}/{fileName}` */
export const getContentOverrideNameAuthed = endpoint({
  operationId: 'getContentOverrideNameAuthed',
  method: 'GET',
  path: '/_matrix/client/v1/media/download/{serverName}/{mediaId}/{fileName}',
  auth: 'user',
  guests: true,
  params: { ...mediaParams, fileName: t.string({ min: 1, max: 255 }) },
  query: waiting,
  response: t.json,
})

/** `GET /_matrix/client/v1/media/thumbnail/{serverName}/{mediaId}` */
export const getContentThumbnailAuthed = endpoint({
  operationId: 'getContentThumbnailAuthed',
  method: 'GET',
  path: '/_matrix/client/v1/media/thumbnail/{serverName}/{mediaId}',
  auth: 'user',
  guests: true,
  params: mediaParams,
  query: thumbnailQuery,
  response: t.json,
})

/** `GET /_matrix/client/v1/media/config` */
export const getConfigAuthed = endpoint({
  operationId: 'getConfigAuthed',
  method: 'GET',
  path: '/_matrix/client/v1/media/config',
  auth: 'user',
  guests: true,
  response: mediaConfig,
})

/** `GET /_matrix/client/v1/media/preview_url` */
export const getUrlPreviewAuthed = endpoint({
  operationId: 'getUrlPreviewAuthed',
  method: 'GET',
  path: '/_matrix/client/v1/media/preview_url',
  auth: 'user',
  query: previewQuery,
  response: preview,
})
