/**
 * The content repository: uploads, and the deprecated downloads without a login.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#content-repository
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
  unauthenticatedQuery,
  waiting,
} from './definitions/media.ts'

const filename = { filename: t.optional(t.string({ max: 255 })) }

/** `POST /_matrix/media/v3/upload` */
export const uploadContent = endpoint({
  operationId: 'uploadContent',
  method: 'POST',
  path: '/_matrix/media/v3/upload',
  auth: 'user',
  notIfSuspended: true,
  bodyIsStream: true,
  query: filename,
  response: t.object({ content_uri: t.string() }),
})

/** `PUT /_matrix/media/v3/upload/{serverName}/{mediaId}` */
export const uploadContentToMXC = endpoint({
  operationId: 'uploadContentToMXC',
  method: 'PUT',
  path: '/_matrix/media/v3/upload/{serverName}/{mediaId}',
  auth: 'user',
  notIfSuspended: true,
  bodyIsStream: true,
  params: mediaParams,
  query: filename,
  response: t.object({}),
})

/** `POST /_matrix/media/v1/create` */
export const createContent = endpoint({
  operationId: 'createContent',
  method: 'POST',
  path: '/_matrix/media/v1/create',
  auth: 'user',
  notIfSuspended: true,
  response: t.object({ content_uri: t.string(), unused_expires_at: t.integer() }),
})

/** `GET /_matrix/media/v3/download/{serverName}/{mediaId}` */
export const getContent = endpoint({
  operationId: 'getContent',
  method: 'GET',
  path: '/_matrix/media/v3/download/{serverName}/{mediaId}',
  auth: 'none',
  params: mediaParams,
  query: { ...waiting, ...unauthenticatedQuery },
  response: t.json,
})

/** `GET /_matrix/media/v3/download/{serverName}/{mediaId}/{fileName}` */
export const getContentOverrideName = endpoint({
  operationId: 'getContentOverrideName',
  method: 'GET',
  path: '/_matrix/media/v3/download/{serverName}/{mediaId}/{fileName}',
  auth: 'none',
  params: { ...mediaParams, fileName: t.string({ min: 1, max: 255 }) },
  query: { ...waiting, ...unauthenticatedQuery },
  response: t.json,
})

/** `GET /_matrix/media/v3/thumbnail/{serverName}/{mediaId}` */
export const getContentThumbnail = endpoint({
  operationId: 'getContentThumbnail',
  method: 'GET',
  path: '/_matrix/media/v3/thumbnail/{serverName}/{mediaId}',
  auth: 'none',
  params: mediaParams,
  query: { ...thumbnailQuery, ...unauthenticatedQuery },
  response: t.json,
})

/** `GET /_matrix/media/v3/config` */
export const getConfig = endpoint({
  operationId: 'getConfig',
  method: 'GET',
  path: '/_matrix/media/v3/config',
  auth: 'user',
  guests: true,
  response: mediaConfig,
})

/** `GET /_matrix/media/v3/preview_url` */
export const getUrlPreview = endpoint({
  operationId: 'getUrlPreview',
  method: 'GET',
  path: '/_matrix/media/v3/preview_url',
  auth: 'user',
  query: previewQuery,
  response: preview,
})
