/**
 * Content of our users for other servers.
 *
 * @module
 */

import { getContent, getContentThumbnail } from '#endpoints/server-server/content-repository.ts'
import { ByteAnswer } from '#http/byte-answer.ts'
import { contentDispositionOf } from '#http/content-disposition.ts'
import { answer, type Route } from '#http/endpoint.ts'
import { framedMedium } from '#http/multipart.ts'
import type { OpenContent } from '#media/media.ts'
import type { Server } from '#server.ts'

type Needs = Pick<Server, 'media' | 'serverName' | 'random'>

const contentRoute = answer(
  getContent,
  async ({ params: { mediaId }, query, origin }, { media, serverName, random }: Needs) => {
    const content = await media.download(
      { serverName, mediaId },
      {
        waitMs: query.timeout_ms,
        askedBy: origin,
      },
    )
    return framed(content, Buffer.from(random.bytes(16)).toString('hex'))
  },
)

const thumbnailRoute = answer(
  getContentThumbnail,
  async ({ params: { mediaId }, query, origin }, { media, serverName, random }: Needs) => {
    const { width, height, method = 'scale', animated = false, timeout_ms: waitMs } = query
    const kind = { width, height, method, animated }
    const content = await media.thumbnail({ serverName, mediaId }, kind, {
      waitMs,
      askedBy: origin,
    })
    return framed(content, Buffer.from(random.bytes(16)).toString('hex'))
  },
)

export const mediaRoutes: readonly Route<Needs>[] = [contentRoute, thumbnailRoute]

/** MUST contain a `boundary` delineating exactly two parts. */
function framed({ contentType, fileName, bytes, chunks }: OpenContent, boundary: string) {
  const contentDisposition = contentDispositionOf(contentType, fileName)
  const frame = framedMedium(boundary, { contentType, contentDisposition })
  const length = frame.before.length + bytes + frame.after.length
  return new ByteAnswer({
    status: 200,
    headers: { 'content-type': frame.contentType, 'content-length': String(length) },
    body: between(frame.before, chunks, frame.after),
  })
}

async function* between(
  before: Uint8Array,
  chunks: AsyncIterable<Uint8Array>,
  after: Uint8Array,
): AsyncGenerator<Uint8Array> {
  yield before
  yield* chunks
  yield after
}
