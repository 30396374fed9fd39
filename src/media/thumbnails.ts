/**
 * Thumbnails: made when they are asked for, and kept with the content they are of.
 *
 * Sizes are rounded up to a few sides, so that nobody fills the disk by asking for each size there is.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#thumbnails
 *
 * @module
 */

import type { Thumbnailer } from '#io/thumbnailer.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Database } from '#storage/database.ts'
import { putThumbnail, type ThumbnailKind, thumbnailOf } from '#storage/media.ts'
import type { Content } from './local-media.ts'
import type { MediaFiles } from './media-files.ts'

export type { ThumbnailKind } from '#storage/media.ts'

interface Needs {
  readonly db: Database
  readonly mediaFiles: MediaFiles
  readonly thumbnailer: Thumbnailer
}

/** The sides of thumbnails; among them those of the sizes that servers SHOULD produce. */
const sides = [32, 64, 96, 128, 240, 320, 480, 600, 640, 800, 1200, 1600]
/** What is asked for that is larger than these is as large as it is, but stands still. */
const wholeSide = 16_384

export interface Thumbnails {
  /**
   * The thumbnail of a content; the content itself if that is no larger. Throws 400 `M_UNKNOWN` if it
   * is no image that is read here, 413 `M_TOO_LARGE` if it has too many pixels.
   */
  of(content: Content, asked: ThumbnailKind): Promise<Content>
}

export function createThumbnails(needs: Needs): Thumbnails {
  const making = new Map<string, Promise<Content>>()
  return {
    async of(content, asked) {
      const kind = rounded(asked)
      const kept = await thumbnailOf(needs.db, content.sha256, kind)
      if (kept !== undefined) {
        const { sha256, bytes, content_type: contentType } = kept
        return { sha256, bytes, contentType, fileName: content.fileName }
      }
      const { width, height, method, animated } = kind
      const key = `${content.sha256} ${width}x${height} ${method} ${animated}`
      return await making.getOrInsertComputed(key, () =>
        make(needs, content, kind).finally(() => making.delete(key)),
      )
    },
  }
}

/** The size to make. */
function rounded({ width, height, ...rest }: ThumbnailKind): ThumbnailKind {
  const up = (length: number) => sides.find((side) => side >= length) ?? wholeSide
  return { ...rest, width: up(width), height: up(height) }
}

async function make(
  { mediaFiles, thumbnailer }: Needs,
  content: Content,
  kind: ThumbnailKind,
): Promise<Content> {
  const path = mediaFiles.pathOf(content.sha256)
  const answer = await thumbnailer.make({ path, ...kind })
  switch (answer.kind) {
    case 'original':
      return content
    case 'too-large':
      throw new MatrixError(413, 'M_TOO_LARGE', 'The image is too large to make a thumbnail of.')
    case 'not-an-image':
      throw new MatrixError(400, 'M_UNKNOWN', 'There is no thumbnail of this kind of content.')
    case 'unavailable': {
      const extra = { retry_after_ms: 5_000 }
      throw new MatrixError(429, 'M_LIMIT_EXCEEDED', 'No thumbnail can be made now.', { extra })
    }
    case 'made': {
      const { contentType } = answer
      const file = await mediaFiles.keep(inOnePiece(answer.bytes), (tx, { sha256, bytes }) =>
        putThumbnail(tx, content.sha256, kind, { sha256, bytes, content_type: contentType }),
      )
      return { ...file, contentType, fileName: content.fileName }
    }
  }
}

async function* inOnePiece(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}
