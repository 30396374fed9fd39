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
import { answer } from '#http/endpoint.ts'
import type { Server } from '#server.ts'
import { mediaAnswer, thumbnailKind } from './media-answer.ts'

type Needs = Pick<Server, 'media'>

export const contentRoute = answer(getContentAuthed, async ({ params, query }, { media }: Needs) =>
  mediaAnswer(await media.download(params, { waitMs: query.timeout_ms })),
)

export const contentWithNameRoute = answer(
  getContentOverrideNameAuthed,
  async ({ params, query }, { media }: Needs) =>
    mediaAnswer(await media.download(params, { waitMs: query.timeout_ms }), params.fileName),
)

export const mediaConfigRoute = answer(getConfigAuthed, async (_, { media }: Needs) => ({
  'm.upload.size': media.uploadBytesMax,
}))

export const thumbnailRoute = answer(
  getContentThumbnailAuthed,
  async ({ params, query }, { media }: Needs) =>
    mediaAnswer(await media.thumbnail(params, thumbnailKind(query), { waitMs: query.timeout_ms })),
)

export const urlPreviewRoute = answer(
  getUrlPreviewAuthed,
  async ({ session, query }, { media }: Needs) => media.urlPreview(session.userId, query.url),
)
