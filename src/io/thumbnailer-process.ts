/**
 * The process that decodes images. It is started without rights to write files, to start processes or
 * to speak over the network; it takes one request after the other from its parent.
 *
 * @module
 */

import sharp from 'sharp'
import type { ThumbnailAnswer, ThumbnailRequest } from './thumbnailer.ts'

/** About 128 MB when decoded; an animation counts with all its frames. */
const pixelsMax = 32_000_000
const secondsMax = 10

sharp.cache(false)
sharp.concurrency(1)
// Formats that need a large or little used decoder are not read at all.
sharp.block({ operation: ['VipsForeignLoad'] })
sharp.unblock({
  operation: [
    'VipsForeignLoadJpeg',
    'VipsForeignLoadPng',
    'VipsForeignLoadWebp',
    'VipsForeignLoadNsgif',
  ],
})

async function make(request: ThumbnailRequest): Promise<ThumbnailAnswer> {
  const { path, width, height, method } = request
  const first = await sharp(path, { limitInputPixels: false }).metadata()
  const pages = first.pages ?? 1
  if (first.width * first.height * (request.animated ? pages : 1) > pixelsMax) {
    return { kind: 'too-large' }
  }
  if (first.autoOrient.width <= width && first.autoOrient.height <= height) {
    // An animation that must not move is drawn again, whatever its size.
    if (pages === 1 || request.animated) return { kind: 'original' }
  }
  const moves = request.animated && pages > 1
  const image = sharp(path, { limitInputPixels: pixelsMax, animated: moves })
    .timeout({ seconds: secondsMax })
    .autoOrient()
    .resize({
      width,
      height,
      fit: method === 'crop' ? 'cover' : 'outside',
      withoutEnlargement: true,
    })
  if (moves) return made(await image.webp().toBuffer(), 'image/webp')
  if (first.hasAlpha) return made(await image.png().toBuffer(), 'image/png')
  return made(await image.jpeg({ quality: 80 }).toBuffer(), 'image/jpeg')
}

function made(bytes: Uint8Array, contentType: string): ThumbnailAnswer {
  return { kind: 'made', bytes, contentType }
}

process.on('message', (request: ThumbnailRequest) => {
  make(request).then(
    (answer) => process.send?.(answer),
    () => process.send?.({ kind: 'not-an-image' } satisfies ThumbnailAnswer),
  )
})
process.on('disconnect', () => process.exit(0))
