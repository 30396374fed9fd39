import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { constants, getPriority, tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { crc32, deflateSync } from 'node:zlib'
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

/** A chunk of a PNG. */
function chunk(type: string, data: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(type), data])
  const length = Buffer.alloc(4)
  length.writeUInt32BE(data.length)
  const sum = Buffer.alloc(4)
  sum.writeUInt32BE(crc32(body))
  return Buffer.concat([length, body, sum])
}

const signature = Buffer.from('89504e470d0a1a0a', 'hex')

/** A PNG that says that it has this size, and has few bytes. */
function pngOf(side: number, ...more: readonly Buffer[]): Buffer {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(side, 0)
  header.writeUInt32BE(side, 4)
  header.set([8, 2], 8)
  const row = Buffer.alloc(1 + Math.min(side, 1000) * 3)
  const rows = deflateSync(Buffer.concat(Array.from({ length: Math.min(side, 1000) }, () => row)))
  const chunks = [
    chunk('IHDR', header),
    ...more,
    chunk('IDAT', rows),
    chunk('IEND', Buffer.alloc(0)),
  ]
  return Buffer.concat([signature, ...chunks])
}

/** With other bytes in the place of those behind a mark. */
function patched(image: Buffer, mark: string, offset: number, hex: string): Buffer {
  const at = image.indexOf(Buffer.from(mark, 'hex'))
  assert.ok(at > 0, `no ${mark} in the image`)
  const copy = Buffer.from(image)
  copy.set(Buffer.from(hex, 'hex'), at + offset)
  return copy
}

/** A GIF of so many frames, each of a few bytes. */
function gifOf(side: number, frames: number): Buffer {
  const size = Buffer.alloc(4)
  size.writeUInt16LE(side, 0)
  size.writeUInt16LE(side, 2)
  const screen = Buffer.concat([
    Buffer.from('GIF89a'),
    size,
    Buffer.from('800000000000ffffff', 'hex'),
  ])
  // A frame of one pixel.
  const control = Buffer.from('21f90400010000002c000000000100010000020144003b'.slice(0, -2), 'hex')
  return Buffer.concat([
    screen,
    ...Array.from({ length: frames }, () => control),
    Buffer.from('3b', 'hex'),
  ])
}

/** Entities that come to a billion characters. */
const entities = `<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY a "aaaaaaaaaa">${Array.from(
  { length: 8 },
  (_, at) => `<!ENTITY ${'bcdefghi'[at]} "${`&${'abcdefgh'[at]};`.repeat(10)}">`,
).join('')}]><svg xmlns="http://www.w3.org/2000/svg"><text>&i;</text></svg>`

/** What costs little to send and would cost much to decode, by the decoder that it is for. */
const bombs: readonly (readonly [
  what: string,
  image: () => Promise<Buffer>,
  still: string,
  animated?: string,
])[] = [
  ['png of nine hundred million pixels', async () => pngOf(30_000), 'too-large'],
  [
    'png with a text of half a gigabyte',
    async () => {
      const text = Buffer.concat([Buffer.from('t\0\0'), deflateSync(Buffer.alloc(500_000_000))])
      return pngOf(1000, chunk('zTXt', text))
    },
    'made',
  ],
  [
    'png with a colour profile of half a gigabyte',
    async () => {
      const text = Buffer.concat([Buffer.from('p\0\0'), deflateSync(Buffer.alloc(500_000_000))])
      return pngOf(1000, chunk('iCCP', text))
    },
    'made',
  ],
  [
    'jpeg of four thousand million pixels',
    async () => patched(await jpeg(100, 100)(), 'ffc00011', 5, 'ffdcffdc'),
    'too-large',
  ],
  [
    'webp of two hundred million pixels',
    async () => {
      const small = await draw(100, 100, 4).webp({ lossless: true }).toBuffer()
      // Two times fourteen bits behind the signature of the lossless stream.
      return patched(small, '5650384c', 9, 'febfff1f')
    },
    'too-large',
  ],
  [
    'gif of four thousand million pixels',
    async () => patched(gifOf(65_535, 1), '2c00000000', 5, 'ffffffff'),
    'too-large',
  ],
  ['gif of a thousand large frames', async () => gifOf(2_000, 1_000), 'made', 'too-large'],
  ['svg of a billion characters', async () => Buffer.from(entities), 'not-an-image'],
  ['tiff', () => draw(100, 100).tiff().toBuffer(), 'not-an-image'],
  ['avif', () => draw(100, 100).avif().toBuffer(), 'not-an-image'],
  ['pdf', async () => Buffer.from('%PDF-1.4\n1 0 obj<<>>endobj\ntrailer<<>>'), 'not-an-image'],
]

for (const [index, [what, image, still, animated = still]] of bombs.entries()) {
  test(`a bomb does no harm: ${what}`, async () => {
    const path = join(folder, `bomb ${index}`)
    await writeFile(path, await image())
    const asked = { path, width: 32, height: 32, method: 'scale' } as const
    assert.equal((await thumbnailer.make({ ...asked, animated: false })).kind, still)
    assert.equal((await thumbnailer.make({ ...asked, animated: true })).kind, animated)
    for (const pid of children()) {
      const [, kilobytes] =
        /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
      assert.ok(Number(kilobytes) < 900_000, `the process took ${kilobytes} kB`)
    }
  })
}

/** The processes that this one has started, where the system tells. */
function children(): number[] {
  const path = `/proc/${process.pid}/task/${process.pid}/children`
  if (!existsSync(path)) return []
  return readFileSync(path, 'utf8')
    .split(' ')
    .map(Number)
    .filter((pid) => pid > 0)
}

test('a process that dies is replaced, and takes nothing else with it', async (t) => {
  const path = join(folder, 'large')
  await writeFile(path, await draw(5000, 5000).png({ compressionLevel: 0 }).toBuffer())
  const ask = () =>
    thumbnailer.make({ path, width: 32, height: 32, method: 'crop', animated: false })
  assert.equal((await ask()).kind, 'made')
  const [pid] = children()
  if (pid === undefined) return t.skip('the system does not tell which processes there are')
  assert.ok(
    getPriority(pid) >= constants.priority.PRIORITY_BELOW_NORMAL,
    'it gives way to the server',
  )
  const [first, second] = [ask(), ask()]
  process.kill(pid, 'SIGSEGV')
  assert.deepEqual([(await first).kind, (await second).kind], ['unavailable', 'made'])
  assert.notEqual(children()[0], pid)
})

test('a small animation in a PNG stands still unless it is asked to move', async () => {
  const control = Buffer.from('0000000200000000', 'hex')
  const path = join(folder, 'animated png')
  await writeFile(path, pngOf(20, chunk('acTL', control)))
  const asked = { path, width: 32, height: 32, method: 'scale' } as const
  assert.equal((await thumbnailer.make({ ...asked, animated: true })).kind, 'original')
  const still = await thumbnailer.make({ ...asked, animated: false })
  assert.equal(still.kind, 'made')
  assert.ok(still.kind === 'made' && !Buffer.from(still.bytes).includes('acTL'))
  // However much comes before: a text of 100 kB, or very many chunks.
  const text = chunk('tEXt', Buffer.alloc(100_000, 'a\0b'))
  for (const before of [[text], Array<Buffer>(2000).fill(chunk('tEXt', Buffer.from('a\0b')))]) {
    await writeFile(path, pngOf(20, ...before, chunk('acTL', control)))
    assert.equal((await thumbnailer.make({ ...asked, animated: false })).kind, 'made')
  }
  await writeFile(path, pngOf(20))
  assert.equal((await thumbnailer.make({ ...asked, animated: false })).kind, 'original')
})

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
