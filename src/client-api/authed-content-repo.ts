/**
 * Content for who is logged in.
 *
 * @module
 */

import {
  getConfigAuthed,
  getContentAuthed,
  getContentOverrideNameAuthed,
  getContentThumbnailAuthed,
  getUrlPreviewAuthed,
} from '#endpoints/client-server/authed-content-repo.ts'
import { answer, type Session } from '#http/endpoint.ts'
import type { DownloadOptions } from '#media/media.ts'
import type { Server } from '#server.ts'
import { mediaAnswer, thumbnailKind } from './media-answer.ts'

type Needs = Pick<Server, 'media'>

export const contentRoute = answer(
  getContentAuthed,
  async ({ params, query, session }, { media }: Needs) =>
    mediaAnswer(await media.download(params, asked(query, session))),
)

export const contentWithNameRoute = answer(
  getContentOverrideNameAuthed,
  async ({ params, query, session }, { media }: Needs) =>
    mediaAnswer(await media.download(params, asked(query, session)), params.fileName),
)

export const mediaConfigRoute = answer(getConfigAuthed, async (_, { media }: Needs) => ({
  'm.upload.size': media.uploadBytesMax,
}))

export const thumbnailRoute = answer(
  getContentThumbnailAuthed,
  async ({ params, query, session }, { media }: Needs) =>
    mediaAnswer(await media.thumbnail(params, thumbnailKind(query), asked(query, session))),
)

export const urlPreviewRoute = answer(
  getUrlPreviewAuthed,
  async ({ session, query }, { media }: Needs) => media.urlPreview(session.userId, query.url),
)

function asked(
  { timeout_ms: waitMs }: { readonly timeout_ms?: number },
  { userId: askedBy }: Session,
): DownloadOptions {
  return { waitMs, askedBy }
}
