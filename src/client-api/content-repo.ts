/**
 * Uploads, and the deprecated downloads for who is not logged in.
 *
 * @module
 */

import {
  createContent,
  getConfig,
  getContent,
  getContentOverrideName,
  getContentThumbnail,
  getUrlPreview,
  uploadContent,
  uploadContentToMXC,
} from '#endpoints/client-server/content-repo.ts'
import { answer, type Upload } from '#http/endpoint.ts'
import type { DownloadOptions } from '#media/media.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Server } from '#server.ts'
import { mediaAnswer, thumbnailKind } from './media-answer.ts'

type Needs = Pick<Server, 'media' | 'serverName'>

export const uploadRoute = answer(
  uploadContent,
  async ({ upload, query, session }, { media, serverName }: Needs) => {
    const mediaId = await media.local.upload(session.userId, fileOf(upload, query, media))
    return { content_uri: `mxc://${serverName}/${mediaId}` }
  },
)

export const uploadToNameRoute = answer(
  uploadContentToMXC,
  async ({ params, upload, query, session }, { media, serverName }: Needs) => {
    if (params.serverName !== serverName) {
      throw new MatrixError(404, 'M_NOT_FOUND', 'The media ID was not made by this server.')
    }
    await media.local.fill(session.userId, params.mediaId, fileOf(upload, query, media))
    return {}
  },
)

export const createMediaNameRoute = answer(
  createContent,
  async ({ session }, { media, serverName }: Needs) => {
    const { mediaId, unusedExpiresTs } = await media.local.create(session.userId)
    return { content_uri: `mxc://${serverName}/${mediaId}`, unused_expires_at: unusedExpiresTs }
  },
)

export const contentWithoutLoginRoute = answer(
  getContent,
  async ({ params, query, remoteAddress }, { media }: Pick<Server, 'media'>) => {
    checkThawed(media)
    const options = unnamed(query, remoteAddress)
    return mediaAnswer(await media.download(params, options))
  },
)

export const contentWithNameWithoutLoginRoute = answer(
  getContentOverrideName,
  async ({ params, query, remoteAddress }, { media }: Pick<Server, 'media'>) => {
    checkThawed(media)
    const options = unnamed(query, remoteAddress)
    return mediaAnswer(await media.download(params, options), params.fileName)
  },
)

export const thumbnailWithoutLoginRoute = answer(
  getContentThumbnail,
  async ({ params, query, remoteAddress }, { media }: Pick<Server, 'media'>) => {
    checkThawed(media)
    const options = unnamed(query, remoteAddress)
    return mediaAnswer(await media.thumbnail(params, thumbnailKind(query), options))
  },
)

export const mediaConfigBeforeRoute = answer(getConfig, async (_, { media }: Needs) => ({
  'm.upload.size': media.uploadBytesMax,
}))

/** Of who is not logged in nothing but the address is known. */
function unnamed(
  {
    timeout_ms: waitMs,
    allow_remote: askOthers,
  }: { readonly timeout_ms?: number; readonly allow_remote?: boolean },
  remoteAddress: string,
): DownloadOptions {
  return { waitMs, askOthers, askedBy: remoteAddress }
}

/**
 * Servers SHOULD "freeze" the deprecated, unauthenticated, endpoints. Here all media is newer than the
 * freeze, unless the configuration says that there is none.
 */
function checkThawed({ withoutLogin }: Server['media']): void {
  if (withoutLogin) return
  throw new MatrixError(404, 'M_NOT_FOUND', 'Media is only for those who are logged in.')
}

function fileOf(
  { contentType, chunks }: Upload,
  { filename: fileName }: { readonly filename?: string },
  { uploadBytesMax }: Server['media'],
) {
  return { contentType, fileName, chunks: chunks(uploadBytesMax) }
}

export const urlPreviewBeforeRoute = answer(
  getUrlPreview,
  async ({ session, query }, { media }: Needs) => media.urlPreview(session.userId, query.url),
)
