import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import sharp from 'sharp'
import { thumbnailerChild } from './thumbnailer-child.ts'

const thumbnailer = thumbnailerChild()
let folder = ''

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hansa-thumbnails-'))
})
after(async () => {
  await thumbnailer.close()
  await rm(folder, { recursive: true })
})

const red = { r: 255, g: 0, b: 0, alpha: 0.5 }
const draw = (width: number, height: number, channels: 3 | 4 = 3) =>
  sharp({ create: { width, height, channels, background: red } })

/** Ten frames, each of another shade. */
async function animation(): Promise<Buffer> {
  const frames = Array.from({ length: 10 }, (_, frame) => {
    const background = { r: 25 * frame, g: 0, b: 0 }
    return sharp({ create: { width: 200, height: 100, channels: 3, background } })
      .png()
      .toBuffer()
  })
  return await sharp(await Promise.all(frames), { join: { animated: true } })
    .gif()
    .toBuffer()
}

interface Case {
  readonly what: string
  readonly image: () => Promise<Buffer>
  readonly width: number
  readonly height: number
  readonly method: 'crop' | 'scale'
  readonly animated?: boolean
  /** Type, width, height and frames of the thumbnail, or what else comes. */
  readonly expected: readonly [string, number, number, number] | string
}

const jpeg = (width: number, height: number) => () => draw(width, height).jpeg().toBuffer()
const cases: readonly Case[] = [
  // Servers MUST NOT return a smaller thumbnail than requested.
  {
    what: 'scale keeps the shape, and both sides are as large as asked for',
    image: jpeg(1000, 500),
    width: 320,
    height: 240,
    method: 'scale',
    expected: ['jpeg', 480, 240, 1],
  },
  {
    what: 'crop has the shape that is asked for',
    image: jpeg(1000, 500),
    width: 96,
    height: 96,
    method: 'crop',
    expected: ['jpeg', 96, 96, 1],
  },
  {
    what: 'transparency is kept',
    image: () => draw(500, 500, 4).png().toBuffer(),
    width: 32,
    height: 32,
    method: 'scale',
    expected: ['png', 32, 32, 1],
  },
  // When the content is smaller than the requested dimensions, servers should return the original.
  {
    what: 'a small image is good as it is',
    image: jpeg(30, 30),
    width: 32,
    height: 32,
    method: 'crop',
    expected: 'original',
  },
  // Servers MUST NOT upscale thumbnails under any circumstance.
  {
    what: 'nothing is made larger',
    image: jpeg(1000, 50),
    width: 320,
    height: 240,
    method: 'scale',
    expected: ['jpeg', 1000, 50, 1],
  },
  {
    what: 'an animation moves if that is asked for',
    image: animation,
    width: 100,
    height: 50,
    method: 'scale',
    animated: true,
    expected: ['webp', 100, 50, 10],
  },
  // When `false`, the server MUST NOT return an animated thumbnail.
  {
    what: 'an animation stands still otherwise',
    image: animation,
    width: 100,
    height: 50,
    method: 'scale',
    expected: ['png', 100, 50, 1],
  },
  {
    what: 'also one that is small',
    image: animation,
    width: 320,
    height: 240,
    method: 'scale',
    expected: ['png', 200, 100, 1],
  },
  {
    what: 'a small file of very many pixels',
    image: () => draw(6000, 6000).png({ compressionLevel: 1 }).toBuffer(),
    width: 32,
    height: 32,
    method: 'crop',
    expected: 'too-large',
  },
  {
    what: 'text',
    image: async () => Buffer.from('no image'),
    width: 32,
    height: 32,
    method: 'crop',
    expected: 'not-an-image',
  },
  {
    what: 'half of a picture',
    image: async () => (await jpeg(1000, 1000)()).subarray(0, 200),
    width: 32,
    height: 32,
    method: 'crop',
    expected: 'not-an-image',
  },
  {
    what: 'formats of large decoders',
    image: async () =>
      Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="99" height="99"></svg>'),
    width: 32,
    height: 32,
    method: 'crop',
    expected: 'not-an-image',
  },
]

for (const [index, { what, image, expected, animated = false, ...asked }] of cases.entries()) {
  test(what, async () => {
    const path = join(folder, String(index))
    await writeFile(path, await image())
    const answer = await thumbnailer.make({ path, animated, ...asked })
    if (answer.kind !== 'made') {
      assert.equal(answer.kind, expected)
      return
    }
    const {
      format,
      width,
      height,
      pages = 1,
      pageHeight,
    } = await sharp(answer.bytes, {
      animated: true,
    }).metadata()
    assert.deepEqual([format, width, pageHeight ?? height, pages], expected)
    assert.equal(answer.contentType, `image/${format}`)
  })
}

test('many at once are made in turn, and no more than wait in line', async () => {
  const path = join(folder, '0')
  const ask = () =>
    thumbnailer.make({ path, width: 32, height: 32, method: 'crop', animated: false })
  const answers = await Promise.all(Array.from({ length: 103 }, ask))
  const made = answers.filter(({ kind }) => kind === 'made').length
  assert.deepEqual([made, answers.length - made, answers.at(-1)?.kind], [101, 2, 'unavailable'])
})
