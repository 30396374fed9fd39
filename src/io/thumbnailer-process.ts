/**
 * The process that decodes images. It is started without rights to write files, to start processes or
 * to speak over the network; it takes one request after the other from its parent.
 *
 * @module
 */

import { open } from 'node:fs/promises'
import sharp from 'sharp'
import { isAnimatedPng } from './png-animation.ts'
import { type ThumbnailAnswer, type ThumbnailRequest, tooLargeExitCode } from './thumbnailer.ts'

/** About 128 MB when decoded; an animation counts with all its frames. */
const pixelsMax = 32_000_000
const secondsMax = 10
/** How much memory the process may take in all, and how often it looks: decoders are not to be trusted. */
const memoryBytesMax = 536_870_912
const memoryLookMs = 20

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
    const stands = pages === 1 && !(first.format === 'png' && (await isAnimated(path)))
    if (stands || request.animated) return { kind: 'original' }
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

async function isAnimated(path: string): Promise<boolean> {
  const file = await open(path)
  try {
    return await isAnimatedPng(async (at, length) => {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, at)
      return buffer.subarray(0, bytesRead)
    })
  } finally {
    await file.close()
  }
}

function made(bytes: Uint8Array, contentType: string): ThumbnailAnswer {
  return { kind: 'made', bytes, contentType }
}

function failure({ message }: Error): ThumbnailAnswer {
  return message.startsWith('timeout') ? { kind: 'too-large' } : { kind: 'not-an-image' }
}

/** Ends the process when it takes more memory than it may: what it works at is too large. */
function watchMemory(): void {
  setInterval(() => {
    if (process.memoryUsage.rss() <= memoryBytesMax) return
    process.exit(tooLargeExitCode)
  }, memoryLookMs).unref()
}

watchMemory()
process.on('message', (request: ThumbnailRequest) => {
  make(request).then(
    (answer) => process.send?.(answer),
    (error: Error) => process.send?.(failure(error)),
  )
})
process.on('disconnect', () => process.exit(0))
