/**
 * How content is shown to clients: its type, its name, and what a browser must not do with it.
 *
 * @module
 */

import { ByteAnswer } from '#http/byte-answer.ts'
import { contentDispositionOf } from '#http/content-disposition.ts'
import type { OpenContent } from '#media/media.ts'
import type { ThumbnailKind } from '#media/thumbnails.ts'

/** When serving content, the server SHOULD provide a Content-Security-Policy header. */
const policies = {
  'content-security-policy':
    "sandbox; default-src 'none'; script-src 'none'; plugin-types application/pdf; style-src 'unsafe-inline'; object-src 'self';",
  'cross-origin-resource-policy': 'cross-origin',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
}

/** What is at a name never changes, so that it need not be asked for twice. */
const caching = 'private, max-age=31536000, immutable'

/** The content as the answer to a request. */
export function mediaAnswer(
  { contentType, fileName, bytes, chunks }: OpenContent,
  nameInPath?: string,
): ByteAnswer {
  const name = nameInPath ?? fileName
  return new ByteAnswer({
    status: 200,
    headers: {
      'content-type': contentType,
      'content-disposition': contentDispositionOf(contentType, name),
      'content-length': String(bytes),
      'cache-control': caching,
      ...policies,
    },
    body: chunks,
  })
}

/** What is asked for; a scaled image that stands still where nothing else is said. */
export function thumbnailKind({
  width,
  height,
  method = 'scale',
  animated = false,
}: Pick<ThumbnailKind, 'width' | 'height'> & Partial<ThumbnailKind>): ThumbnailKind {
  return { width, height, method, animated }
}
